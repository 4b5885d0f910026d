import { quote } from './bash.ts';
import type { TreeNode } from './tree.ts';

/** A script for `source` after `compinit`, or for a file `_silo` in `fpath`. */
export function zshScript(tree: readonly TreeNode[]): string {
  return `#compdef silo
# zsh completion for silo: source <(silo completion zsh)
_silo_commands() {
  case "$1" in
${tree.flatMap(commandArm).join('\n')}
    *) reply=() ;;
  esac
}

_silo_options() {
  case "$1" in
${tree.map(optionArm).join('\n')}
  esac
}

# What may follow an option; fails where the option takes no value.
_silo_values() {
  reply=()
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
  local at='' i
  local -a reply
  for ((i = 2; i < CURRENT; i++)); do
    if _silo_values "$at" "\${words[i]}"; then
      i=$((i + 1))
    elif _silo_is_command "$at/\${words[i]}"; then
      at="$at/\${words[i]}"
    fi
  done
  if ((i > CURRENT)) && _silo_values "$at" "\${words[CURRENT - 1]}"; then
    if [[ $reply[1] == @file ]]; then _files; else compadd -a reply; fi
    return
  fi
  if [[ \${words[CURRENT]} == -* ]]; then
    _silo_options "$at"
    _describe -o option reply
  else
    _silo_commands "$at"
    (( \${#reply} )) && _describe command reply
  fi
}

if [[ $funcstack[1] == _silo ]]; then _silo "$@"; else compdef _silo silo; fi
`;
}

function commandArm({ path, commands, choices }: TreeNode): string[] {
  const names = [...commands, ...choices.map((name) => ({ name, description: '' }))];
  if (names.length === 0) return [];
  const words = names.map(({ name, description }) => described(name, description));
  return [`    ${quote(path)}) reply=(${words.join(' ')}) ;;`];
}

function optionArm({ path, options }: TreeNode): string {
  const words = options.flatMap(({ flags, description }) =>
    flags.filter((flag) => flag.startsWith('--')).map((flag) => described(flag, description)),
  );
  return `    ${quote(path)}) reply=(${words.join(' ')}) ;;`;
}

function valueArms({ path, options }: TreeNode): string[] {
  return options.flatMap(({ flags, values }) => {
    if (values === undefined) return [];
    const pattern = flags.map((flag) => quote(`${path} ${flag}`)).join('|');
    if (values === 'any') return [`    ${pattern}) ;;`];
    const words = values === 'file' ? ['@file'] : values;
    return [`    ${pattern}) reply=(${words.map(quote).join(' ')}) ;;`];
  });
}

/** As `_describe` reads it: the name, a colon, what it is. */
function described(name: string, description: string): string {
  return quote(description === '' ? name : `${name}:${description}`);
}
