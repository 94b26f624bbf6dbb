/** The tasks of program.ts. */
import { context, queueable, RegisteredTask, registerTask, sliceable } from 'ptq'

export const add = queueable(function add(a: number, b: number): number {
  context().log('adding')
  return a + b
})

export const fail = queueable(async function fail(): Promise<never> {
  await new Promise(resolve => setImmediate(resolve))
  throw Object.assign(new RangeError('as told', { cause: new TypeError('the cause') }), { code: 'E_TOLD' })
})

export const exit = queueable(function exit(): void {
  process.exit(3)
})

/** Goes on until it is aborted. */
export const wait = queueable(async function wait(): Promise<void> {
  context().log('waiting')
  const { signal } = context()
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
})

/** Structured clone takes it there and back. */
export const give = queueable(function give(value: unknown): unknown {
  return value
})

@registerTask
export class Shout extends RegisteredTask<{ word: string }> {
  execute(): string {
    return this.args.word.toUpperCase()
  }
}

@sliceable
export class Shouts {
  constructor(readonly words: readonly string[]) {}
  get length(): number {
    return this.words.length
  }
  slice(start: number, end: number): Shouts {
    return new Shouts(this.words.slice(start, end))
  }
  *[Symbol.iterator](): Generator<Shout> {
    for (const word of this.words) yield new Shout({ word })
  }
}
