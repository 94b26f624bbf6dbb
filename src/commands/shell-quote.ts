/** Quoting for POSIX shells. */

/** The value as one word of a shell command, in GNU parallel's form; unchanged if no shell would change it. */
export function quoted(value: string): string {
  return value !== '' && /^[-\w.+/]*$/.test(value) ? value : singleQuoted(value).replaceAll(`'\\''`, `'"'"'`)
}

/** The value in single quotes. */
export function singleQuoted(value: string): string {
  return `'${value.replaceAll(`'`, `'\\''`)}'`
}

/** A command as a person could type it. */
export function commandLine(argv: readonly string[]): string {
  return argv.map(quoted).join(' ')
}
