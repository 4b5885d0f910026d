import { RootCommand } from '@bomb.sh/tab';
import { linesOf } from './lines-of.ts';

export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const;
type Shell = (typeof shells)[number];

// The scripts of @bomb.sh/tab 0.0.22 for bash, zsh and fish split the line at every space, even a
// quoted one, and those for bash and zsh pass the line or the candidates to `eval`. These scripts
// never evaluate a name.

/** Works with bash 3.2 and newer, without the package bash-completion. */
const bashScript = `# bash completion for silo: source <(silo completion bash)
_silo() {
  local reply
  COMPREPLY=()
  while IFS= read -r reply; do
    COMPREPLY+=("$reply")
  done < <(silo complete --bash "$COMP_WORDBREAKS" -- "\${COMP_LINE:0:COMP_POINT}" 2> /dev/null < /dev/null)
  [[ \${COMPREPLY[*]} == */ ]] && compopt -o nospace 2> /dev/null
}

complete -F _silo silo
`;

const zshScript = `#compdef silo
# zsh completion for silo: source <(silo completion zsh), after compinit
_silo() {
  local -a typed found after
  local value description
  typed=("\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}")
  while IFS=$'\\t' read -r value description; do
    # In the lists of _describe, a colon ends the value, and a backslash quotes.
    found+=("\${value//(#b)([\\\\:])/\\\\$match[1]}:$description")
    [[ $value == */ ]] && after=(-S '')
  done < <(silo complete --names -- "\${typed[@]}" 2> /dev/null < /dev/null)
  compset -P '--*='
  _describe silo found "\${after[@]}"
}

if [[ $funcstack[1] == _silo ]]; then _silo; else compdef _silo silo; fi
`;

const fishScript = `# fish completion for silo: silo completion fish | source
function __silo_candidates
    set -l before (commandline -opc)
    set -l raw (commandline -ct)
    # The word without its quotes; the last of them may be open.
    set -l typed (string unescape -- $raw; or string unescape -- $raw'"'; or string unescape -- $raw"'")
    set -l option (string match -r -- '^--[^=]+=' "$typed")
    for candidate in (silo complete --names -- $before[2..] "$typed" 2> /dev/null < /dev/null)
        printf '%s\n' "$option$candidate"
    end
end

complete -c silo -e
complete -c silo -f -a '(__silo_candidates)'
`;

/** The script that a shell loads once; it calls `silo complete` for the candidates. */
export function scriptOf(shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bashScript;
    case 'zsh':
      return zshScript;
    case 'fish':
      return fishScript;
    case 'powershell':
      return `${linesOf(() => new RootCommand().setup('silo', 'silo', shell)).join('\n')}\n`;
  }
}
