/** Text of unknown origin, made fit for a terminal or a log. */

// Control characters move the cursor, change colours and titles; those that turn the direction of writing make a line read
// as what it isn't.
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/gu

/** One line without control characters: each run of them is a space. */
export function plainLine(text: string): string {
  return text.replace(unprintable, ' ')
}
