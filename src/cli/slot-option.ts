/** `--slots gpu=0,1,2,3`: values of which each running command has one for itself. */
import { SlotValues } from '../commands/slot-values.js'
import { UsageError } from './usage-error.js'

/** The option for yargs; may be repeated. */
export const slotOption = {
  type: 'string',
  array: true,
  requiresArg: true,
  coerce: slotValues,
  describe: 'gpu=0,1,2,3: each running command gets one, as PTQ_GPU and CUDA_VISIBLE_DEVICES. May be repeated',
} as const

function slotValues(texts: unknown): ReadonlyMap<string, readonly string[]> | undefined {
  if (!Array.isArray(texts)) return undefined
  const byName = new Map<string, readonly string[]>()
  for (const text of texts) {
    const [, name, values] = /^([a-z][a-z0-9_]*)=([^,]+(?:,[^,]+)*)$/i.exec(String(text)) ?? []
    if (name === undefined || values === undefined || byName.has(name.toLowerCase())) {
      throw new UsageError(
        `Expected --slots to be a name with its values, each name once, such as gpu=0,1,2,3, got ${text}`,
      )
    }
    byName.set(name.toLowerCase(), values.split(','))
  }
  return byName
}

/** @throws UsageError where there are fewer values than commands that run at once */
export function slotValuesOf(values: ReadonlyMap<string, readonly string[]> | undefined, parallel: number): SlotValues {
  try {
    return new SlotValues(values ?? new Map(), parallel)
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause })
  }
}
