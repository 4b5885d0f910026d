/**
 * A completion script for bash 3.2 and newer, used instead of that of @bomb.sh/tab 0.0.22. That one
 * needs the package bash-completion, passes the unquoted command line to `eval`, and repeats what
 * is before a colon, as in `project:write`.
 */
export const bashScript = `# bash completion for silo: source <(silo completion bash)
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
