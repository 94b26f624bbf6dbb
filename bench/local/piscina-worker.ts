// What the rivals that use Piscina directly run in its threads.
import { countOne } from '../counter.js'

const noop = (_index: number): void => countOne()

export const one = noop

export function many(chunk: readonly number[][]): void {
  for (const args of chunk) noop(...(args as [number]))
}
