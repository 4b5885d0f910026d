import { RootCommand } from '@bomb.sh/tab';

export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const;
type Shell = (typeof shells)[number];

/**
 * For bash 3.2 and newer, instead of the script of @bomb.sh/tab 0.0.22. That one needs the package
 * bash-completion, passes the unquoted command line to `eval`, and repeats what is before a colon,
 * as in `project:write`.
 */
const bashScript = `# bash completion for silo: source <(silo completion bash)
_silo() {
  local line="\${COMP_LINE:0:COMP_POINT}" value before='' reply description
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  value="\${words[\${#words[@]} - 1]}"
  [[ $value == --*=* ]] && value="\${value#*=}"
  # Bash replaces only what follows the last colon.
  [[ $value == *:* && $COMP_WORDBREAKS == *:* ]] && before="\${value%"\${value##*:}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r reply description; do
    [[ $reply == :* ]] || COMPREPLY+=("\${reply#"$before"}")
  done < <(silo complete -- "\${words[@]:1}" 2> /dev/null)
  [[ \${COMPREPLY[*]} == */ ]] && compopt -o nospace 2> /dev/null
}

complete -F _silo silo
`;

/** The script that a shell reads once; it calls `silo complete` for the candidates. */
export function scriptOf(shell: Shell): string {
  if (shell === 'bash') return bashScript;
  // In zsh a colon ends a candidate: the library's script means to escape it, and does not.
  return printed(() => new RootCommand().setup('silo', 'silo', shell)).replace(
    'comp//:/\\:',
    'comp//:/\\\\:',
  );
}

/** What the library prints: it returns nothing. */
function printed(print: () => void): string {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => lines.push(line);
  try {
    print();
  } finally {
    console.log = log;
  }
  return `${lines.join('\n')}\n`;
}
