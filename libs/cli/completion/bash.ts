import type { TreeNode } from './tree.ts';

/** A script for `source`, that completes commands, options and their values; for bash 3.2 and newer. */
export function bashScript(tree: readonly TreeNode[]): string {
  return `# bash completion for silo: source <(silo completion bash)
_silo_words() {
  case "$1" in
${tree.map(({ path, ...node }) => arm(path, `printf '%s\\n' ${wordsOf(node)}`)).join('\n')}
  esac
}

# What may follow an option; fails where the option takes no value.
_silo_values() {
  case "$1 $2" in
${tree.flatMap(valueArms).join('\n')}
    *) return 1 ;;
  esac
}

_silo_is_command() {
  case "$1" in
    ${tree.map(({ path }) => quote(path)).join('|')}) return 0 ;;
  esac
  return 1
}

_silo() {
  local line="\${COMP_LINE:0:COMP_POINT}" at='' word last values reply i
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  last=$((\${#words[@]} - 1))
  for ((i = 1; i < last; i++)); do
    if _silo_values "$at" "\${words[i]}" > /dev/null; then
      i=$((i + 1))
    elif _silo_is_command "$at/\${words[i]}"; then
      at="$at/\${words[i]}"
    fi
  done
  word="\${words[last]}"
  COMPREPLY=()
  if [[ $word == --*=* ]] && values=$(_silo_values "$at" "\${word%%=*}"); then
    word="\${word#*=}"
  elif ((i > last)) && values=$(_silo_values "$at" "\${words[last - 1]}"); then
    :
  else
    values=$(_silo_words "$at")
  fi
  if [[ $values == @file ]]; then
    while IFS= read -r reply; do COMPREPLY+=("$reply"); done < <(compgen -f -- "$word")
    compopt -o filenames 2> /dev/null
    return
  fi
  # Bash takes what stands before a colon for a word of its own.
  local before=''
  [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && before="\${word%"\${word##*:}"}"
  while IFS= read -r reply; do
    [[ -n $reply && $reply == "$word"* ]] && COMPREPLY+=("\${reply#"$before"}")
  done <<< "$values"
}

complete -F _silo silo
`;
}

function wordsOf({ commands, options, choices }: Omit<TreeNode, 'path'>): string {
  const names = commands.map(({ name }) => name);
  const flags = options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith('--')));
  return [...names, ...choices, ...flags].map(quote).join(' ');
}

function valueArms({ path, options }: TreeNode): string[] {
  return options.flatMap(({ flags, values }) => {
    if (values === undefined) return [];
    const pattern = flags.map((flag) => quote(`${path} ${flag}`)).join('|');
    if (values === 'any') return [`    ${pattern}) ;;`];
    const words = values === 'file' ? ['@file'] : values;
    return [`    ${pattern}) printf '%s\\n' ${words.map(quote).join(' ')} ;;`];
  });
}

function arm(path: string, body: string): string {
  return `    ${quote(path)}) ${body} ;;`;
}

/** For either shell: as it stands, whatever is in it. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
