/**
 * Makes text of unknown origin printable: characters that would change the text around them are written as `\uXXXX`.
 */

// Control characters, other line ends, and those that turn the direction of writing.
const controlCharacters = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Text on one line: control characters as `\uXXXX`, line ends as spaces. */
export function printable(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ').replace(controlCharacters, escaped)
}

/** Text of several lines, whose ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(controlCharacters, char => (char === '\n' || char === '\t' ? char : escaped(char)))
}

/** JSON on one line: the same value, since control characters occur only inside strings. */
export function printableJson(json: string): string {
  return json.replace(controlCharacters, escaped)
}
