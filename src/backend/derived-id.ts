/** Ids that are made of a text, so that what is stored again has the same one. */
import { createHash } from 'node:crypto'

/** A UUID (version 8) that is the same each time for the same text. */
export function derivedId(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}
