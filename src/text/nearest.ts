/** Finds the name that was probably meant by a mistyped one. */

/** With more edits it is another word. */
const maxEdits = 2

/** The known name nearest to a mistyped one, or `undefined`: at most two edits, in fewer than half of the letters. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const letters = typed.replace(/^-+/, '').length
  let least = Math.min(maxEdits, Math.floor((letters - 1) / 2)) + 1
  let best: string | undefined
  for (const name of known) {
    const edits = editsBetween(typed, name)
    if (edits >= least) continue
    least = edits
    best = name
  }
  return best
}

/** Insertions, deletions, substitutions and exchanges of neighbours (optimal string alignment distance). */
function editsBetween(a: string, b: string): number {
  let before: readonly number[] = []
  let above: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = at(above, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const exchanged =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? at(before, j - 2) + 1
          : Number.POSITIVE_INFINITY
      row.push(Math.min(at(above, j) + 1, at(row, j - 1) + 1, substituted, exchanged))
    }
    before = above
    above = row
  }
  return at(above, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
