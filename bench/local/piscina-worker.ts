// The code in the threads of competitors that use Piscina directly.
import { countOne } from '../counter.js'

const noop = (_index: number): void => countOne()

export const one = noop

export function many(chunk: readonly number[][]): void {
  for (const args of chunk) noop(...(args as [number]))
}
