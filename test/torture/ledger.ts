/**
 * The log that each process writes: lines `<verb> <process number> <what>,<what>,… <milliseconds>`, each appended with
 * one write, so that no kill leaves half a line between two others. A process number is used once, while the system
 * reuses a pid within the hour.
 */
import { appendFileSync, closeSync, openSync, readSync } from 'node:fs'

/**
 * `intend`, `inserted`: before and after an insert. `held`, `run`, `done`, `lost`, `failed`, `dead`: by workers; `run`
 * is the task's own work, `done` comes after the task was deleted. `moving`, `copied`, `moved`: by movers. `retrying`,
 * `retried`: of dead letters. `copyBegun`, `copyMade`, `copyHas`, `copyListed`: of a copy of the live queue, see
 * `copies.ts`. `python`: the writer is a Python process, or its stand-in; `counting`, `counted`: before and after it
 * adds to `insertions`. `releasing`, `released`: around `ptq release`; `delayed`: by a worker whose event loop was
 * blocked. `fromFiles`: this `ptq mv` moves from a file queue into SQS; `stayed`: tasks that are left there at its end.
 * By the bad SQS server: `sent`, `removed`: sends and deletes of a `ptq` command or a worker that releases; `resent`:
 * tasks whose insert arrived and got no response; `late`: a task deleted by a holder whose lease had ended; `fault`: an
 * injected fault. `SIG…`: by the sender of the signal, before it is sent.
 */
export type LedgerVerb =
  | 'intend'
  | 'inserted'
  | 'held'
  | 'run'
  | 'done'
  | 'lost'
  | 'failed'
  | 'dead'
  | 'moving'
  | 'copied'
  | 'moved'
  | 'retrying'
  | 'retried'
  | CopyVerb
  | 'python'
  | 'releasing'
  | 'released'
  | 'serverEnded'
  | 'serverBack'
  | 'delayed'
  | 'fromFiles'
  | 'stayed'
  | 'sent'
  | 'removed'
  | 'counting'
  | 'counted'
  | 'resent'
  | 'late'
  | 'fault'
  | Signal

/** `copyBegun`, `copyMade`: around a copy. `copyHas`: some of the keys that are in it. `copyListed`: these were all. The copy's name comes first. */
export type CopyVerb = 'copyBegun' | 'copyMade' | 'copyHas' | 'copyListed'

export type Signal = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP'

/** The environment variable with the number of a process, for it and its threads. */
export const PROCESS_VARIABLE = 'PTQ_TORTURE_PROCESS'

/** The torture itself, and its SQS server. */
const MAIN_PROCESS = 0

/** Writes one line; `processNumber` is the process that it is about, by default this one. */
export function note(
  ledger: string,
  verb: LedgerVerb,
  what: readonly string[],
  processNumber = Number(process.env[PROCESS_VARIABLE] ?? MAIN_PROCESS),
): void {
  // Not `Date.now`, which jumps in some processes.
  const timeMs = Math.round(performance.timeOrigin + performance.now())
  appendFileSync(ledger, `${verb} ${processNumber} ${what.join(',')} ${timeMs}\n`)
}

export interface LedgerLine {
  readonly verb: LedgerVerb
  readonly processNumber: number
  /** Keys of tasks; of a signal, the role that got it; of a fault, its kind. */
  readonly what: readonly string[]
  /** When it was written, in milliseconds; lines made by hand may have none. */
  readonly timeMs?: number
}

/** The lines of a part of a ledger. Throws where one isn't whole. */
export function* linesOf(text: string): Generator<LedgerLine> {
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, verb, processNumber, what, timeMs] = /^(\w+) (\d+) (\S+)(?: (\d+))?$/.exec(line) ?? []
    if (verb === undefined || what === undefined) throw new Error(`Expected a line of the ledger, got ${line}`)
    yield {
      verb: verb as LedgerVerb,
      processNumber: Number(processNumber),
      what: what.split(','),
      ...(timeMs !== undefined && { timeMs: Number(timeMs) }),
    }
  }
}

const CHUNK_BYTES = 1 << 20

/** Reads a ledger while it grows: a piece at a time, for an hour's is too large for one string. */
export class LedgerReader {
  readonly #path: string
  #offset = 0

  constructor(path: string) {
    this.#path = path
  }

  /** The whole lines that were written since the last call. */
  *newLines(): Generator<LedgerLine> {
    const file = openSync(this.#path, 'a+')
    try {
      for (;;) {
        const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
        const read = chunk.subarray(0, readSync(file, chunk, 0, CHUNK_BYTES, this.#offset))
        const end = read.lastIndexOf('\n') + 1
        if (end === 0) {
          if (read.length === CHUNK_BYTES)
            throw new Error(`Expected a line end within ${CHUNK_BYTES} bytes of the ledger`)
          return
        }
        this.#offset += end
        yield* linesOf(read.toString('utf8', 0, end))
      }
    } finally {
      closeSync(file)
    }
  }
}
