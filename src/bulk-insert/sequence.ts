/** Serialises sliceable sequences for a thread, and rebuilds them there. */
import { argumentError } from '../errors/errors.js'
import { nameAndMessageOf } from '../errors/thrown.js'
import { rebuildSequence, registeredSliceable, type Sliceable } from '../tasks/sliceable.js'
import { refuseEntryFile } from '../threads/entry-script.js'
import { refuseEmptied } from '../threads/small-clone.js'
import { digestOf } from './sequence-mark.js'
import type { SequenceReference } from './slice-messages.js'

/** A sliceable sequence with its reference for threads. */
export interface SliceableSequence {
  readonly sequence: Sliceable
  readonly reference: SequenceReference
}

/**
 * Serialises a sequence; `undefined` if its class was not registered by `sliceable`.
 *
 * @throws TypeError if it can't be rebuilt from its fields, or its length is invalid
 */
export function sliceableSequence(given: object): SliceableSequence | undefined {
  const registered = registeredSliceable(given)
  if (registered === undefined) return undefined
  // Registered by `sliceable`, which takes no other classes.
  const sequence = given as Sliceable
  const { name, url } = registered
  const { length } = sequence
  if (!Number.isSafeInteger(length) || length < 0) {
    throw argumentError(`${name}.length`, 'an integer of 0 or more', length)
  }
  const fields = clonedFields(name, given)
  const rebuilt = rebuildSequence(registered, fields)
  let found: unknown
  try {
    rebuilt.slice(0, 0)
    found = rebuilt.length
  } catch (cause) {
    throw new TypeError(
      `Expected a ${name} to work when it is rebuilt from its own public fields, but it threw: ${nameAndMessageOf(cause)}. ` +
        '`#private` fields, and what only the constructor knows, are not cloned to threads',
      { cause },
    )
  }
  if (found !== length) {
    throw argumentError(`${name}.length`, `the same (${length}) when it is rebuilt from its own public fields`, found)
  }
  return { sequence, reference: { name, url, fields } }
}

/** @throws Error where threads can't import the class */
export function requireImportable({ name, url }: SequenceReference): void {
  refuseEntryFile(name, url)
}

/** Identifies a sequence for a resumed insert by class and fields; the file may move. */
export function sequenceMark({ name, fields }: SequenceReference): string {
  return `${name} with fields ${digestOf(fields)}`
}

function clonedFields(name: string, given: object): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(given)) {
    try {
      refuseEmptied(value)
      fields[field] = structuredClone(value)
    } catch (cause) {
      const error = argumentError(`${name}.${field}`, 'data that can be cloned to a thread', value)
      error.cause = cause
      throw error
    }
  }
  return fields
}
