/** Values that each slot has for itself, such as the number of a GPU. */

/** Environment variables that programs read by themselves, by the name of what is handed out. */
const wellKnown: Readonly<Record<string, string>> = { gpu: 'CUDA_VISIBLE_DEVICES' }

export class SlotValues {
  readonly #values: ReadonlyMap<string, readonly string[]>

  /**
   * @param values by name, one value a slot
   * @param parallel the number of slots
   * @throws RangeError where there are fewer values than slots
   */
  constructor(values: ReadonlyMap<string, readonly string[]>, parallel: number) {
    for (const [name, { length }] of values) {
      if (length < parallel) {
        throw new RangeError(
          `Expected a value of ${name} for each of the ${parallel} commands that run at once, got ${length}`,
        )
      }
    }
    this.#values = values
  }

  /** The environment of a slot, from 1: e.g. `PTQ_GPU`, and `CUDA_VISIBLE_DEVICES`. */
  of(slot: number): Record<string, string> {
    const env: Record<string, string> = {}
    for (const [name, values] of this.#values) {
      const value = values[slot - 1] ?? ''
      env[`PTQ_${name.toUpperCase()}`] = value
      const known = wellKnown[name]
      if (known !== undefined) env[known] = value
    }
    return env
  }
}
