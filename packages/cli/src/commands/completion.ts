import { command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

/** Prints the script by which a shell asks this program to complete a line. */
export const completion = command({
  arguments: [{ name: '<shell>', summary: 'bash or zsh', complete: ['bash', 'zsh'] }],
  about:
    'Names of Services are completed from the cluster. kubectl completes the plugin by itself, if kubectl_complete-externalname is in PATH.',
  options: {},
  examples: [
    { command: 'completion bash > ~/.local/share/bash-completion/completions/externalname', does: 'for bash, once' },
    { command: 'completion zsh > ~/.zfunc/_externalname', does: 'for zsh, once, in a folder of fpath' },
  ],
  async run({ arguments: [shell = ''], output }) {
    const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
    if (script === undefined) {
      output.warn(`externalname: completion is there for bash and zsh, not for ${JSON.stringify(shell)}`);
      return exitCodes.usage;
    }
    output.raw(script);
    return exitCodes.ok;
  },
});

const scripts: Readonly<Record<string, string>> = {
  bash: `# bash completion of externalname. Install: externalname completion bash > ~/.local/share/bash-completion/completions/externalname
_externalname() {
  local line candidates=()
  COMPREPLY=()
  while IFS= read -r line; do
    candidates+=("$line")
  done < <(externalname __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [ "\${#candidates[@]}" -gt 0 ]; then
    local last=$((\${#candidates[@]} - 1))
    [ "\${candidates[$last]}" = ":0" ] && compopt -o default
    unset "candidates[$last]"
  fi
  COMPREPLY=("\${candidates[@]}")
}
complete -F _externalname externalname
`,
  zsh: `#compdef externalname
# zsh completion of externalname. Install: externalname completion zsh > "\${fpath[1]}/_externalname"
_externalname() {
  local -a candidates
  candidates=("\${(@f)$(externalname __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  local directive="\${candidates[-1]}"
  candidates[-1]=()
  compadd -a candidates && return
  [[ "$directive" == ":0" ]] && _files
}
if [ "$funcstack[1]" = "_externalname" ]; then _externalname "$@"; else compdef _externalname externalname; fi
`,
};
