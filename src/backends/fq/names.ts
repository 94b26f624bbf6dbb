/**
 * The grammar of names in `queue/`: `<available>--<id>.json`, with `<available>` in whole Unix seconds by the clock of the
 * filesystem (0: at once, never leased) and `<id>` a UUID in lower case. Python reads the same names.
 */

/** A name, taken apart. */
export interface TaskName {
  readonly name: string
  readonly id: string
  /** Whole Unix seconds from which it may be leased. */
  readonly available: number
}

// At most 15 digits, so that the number is exact.
const GRAMMAR = /^\d{1,15}--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.json$/
const ID_LENGTH = 36
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Takes a name apart; `undefined` for one that is no task's (`.nfs…`, `.DS_Store`, an editor's copy). */
export function parseName(name: string): TaskName | undefined {
  if (!GRAMMAR.test(name)) return undefined
  // Cut by places, not by the groups of the expression: a folder has a million names.
  const dashes = name.length - '--'.length - ID_LENGTH - '.json'.length
  const id = name.slice(dashes + '--'.length, -'.json'.length)
  return { name, id, available: Number(name.slice(0, dashes)) }
}

/** The name of a task that may be leased from `available` (whole Unix seconds). */
export function nameOf(available: number, id: string): string {
  return `${available}--${id}.json`
}

/** Whether `id` is a UUID in lower case. */
export function isId(id: unknown): id is string {
  return typeof id === 'string' && ID.test(id)
}
