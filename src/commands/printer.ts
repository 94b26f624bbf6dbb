/** Prints the output of commands: that of each in one piece when it ends, or line by line. */
import { KeptOutput } from './kept-output.js'
import type { OutputStream } from './slot-shell.js'
import { TaggedLines, WholeLines } from './tagged-lines.js'

/** A stream of this process. */
export interface OutputTarget {
  /** False: the reader is slow; `drained` resolves when it has caught up. */
  write(chunk: Buffer): boolean
  drained(): Promise<void>
}

export type OutputTargets = Readonly<Record<OutputStream, OutputTarget>>

/** Options for printing output. */
export interface PrintOptions {
  /** In the order of the tasks, not in that in which they end. */
  readonly keepOrder: boolean
  readonly lineBuffer: boolean
}

const streams = ['stdout', 'stderr'] as const

/** The output of one attempt at a task. */
export class TaskOutput {
  readonly #targets: OutputTargets
  readonly #streams: Readonly<Record<OutputStream, { kept: KeptOutput; tagged: TaggedLines; lines: WholeLines }>>
  readonly #isLive: boolean
  readonly #maxBytes: number
  #keptBytes = 0
  #tail = Buffer.alloc(0)
  /** Bytes that the command wrote to stdout. */
  stdoutBytes = 0

  /** @param options.maxBytes the most that is kept until it is printed; of live output, nothing is */
  constructor(
    targets: OutputTargets,
    { tag, isLive, maxBytes }: { readonly tag: string; readonly isLive: boolean; readonly maxBytes: number },
  ) {
    this.#targets = targets
    this.#isLive = isLive
    this.#maxBytes = maxBytes
    const stream = () => ({ kept: new KeptOutput(), tagged: new TaggedLines(tag), lines: new WholeLines() })
    this.#streams = { stdout: stream(), stderr: stream() }
  }

  /** @returns a promise where the reader is slow, which resolves when it has caught up. @throws RangeError for more than is kept */
  add(name: OutputStream, chunk: Buffer): Promise<void> | undefined {
    if (name === 'stdout') this.stdoutBytes += chunk.length
    else this.#tail = tailOf(this.#tail, chunk)
    const { kept, tagged, lines } = this.#streams[name]
    const target = this.#targets[name]
    if (this.#isLive) return target.write(tagged.add(lines.add(chunk))) ? undefined : target.drained()
    const left = this.#maxBytes - this.#keptBytes
    if (left > 0) kept.add(chunk.subarray(0, left))
    this.#keptBytes += chunk.length
    if (this.#keptBytes <= this.#maxBytes) return undefined
    throw new RangeError(
      `Expected at most ${this.#maxBytes / 1e6} MB of output to keep until the command ends, got more, and ended it: ` +
        '--line-buffer prints any amount as it comes, --max-output-mb keeps more',
    )
  }

  /** The last lines of stderr. */
  get lastErrors(): string {
    return this.#tail.toString('utf8').trim()
  }

  /** Prints what was kept; waits for a slow reader. */
  async print(): Promise<void> {
    for (const name of streams) {
      const { kept, tagged, lines } = this.#streams[name]
      const target = this.#targets[name]
      if (this.#isLive) target.write(tagged.add(lines.end()))
      for (const chunk of kept.take()) if (!target.write(tagged.add(chunk))) await target.drained()
    }
  }

  discard(): void {
    for (const name of streams) this.#streams[name].kept.discard()
  }
}

/** Bytes of stderr that are kept as the reason of a failure. */
const tailBytes = 2_000

function tailOf(tail: Buffer, chunk: Buffer): Buffer<ArrayBuffer> {
  const bytes = Buffer.concat([tail, chunk.subarray(-tailBytes)])
  return Buffer.from(bytes.subarray(-tailBytes))
}

/** Prints one task after the other, so that their outputs don't mix. */
export class Printer {
  readonly #keepOrder: boolean
  #printing: Promise<void> = Promise.resolve()
  /** With `keepOrder`: the outputs of tasks that have ended before an earlier one. */
  readonly #waiting = new Map<number, TaskOutput | undefined>()
  #next = 1

  constructor(keepOrder: boolean) {
    this.#keepOrder = keepOrder
  }

  /** The number of outputs that wait for an earlier task to end. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Prints the output of a task that has ended; resolves when that is done, or kept for its turn. */
  async ended(sequence: number, output: TaskOutput | undefined): Promise<void> {
    if (!this.#keepOrder) return this.#print(output)
    this.#waiting.set(sequence, output)
    while (this.#waiting.has(this.#next)) {
      const next = this.#waiting.get(this.#next)
      this.#waiting.delete(this.#next++)
      await this.#print(next)
    }
  }

  /** Prints what is kept: earlier tasks will not end. */
  async close(): Promise<void> {
    const left = [...this.#waiting].sort(([one], [other]) => one - other)
    this.#waiting.clear()
    for (const [, output] of left) await this.#print(output)
    await this.#printing
  }

  #print(output: TaskOutput | undefined): Promise<void> {
    if (output === undefined) return this.#printing
    this.#printing = this.#printing.then(() => output.print())
    return this.#printing
  }
}
