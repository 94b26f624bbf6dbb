/**
 * What happened, written down by everybody it happened to: lines `<verb> <pid> <what>,<what>,…`, each appended with one
 * write, so that no kill leaves half a line between two others.
 */
import { appendFileSync } from 'node:fs'

/**
 * `intend`, `inserted`: before and after an insert. `held`, `run`, `done`, `lost`, `failed`, `dead`: by workers; `run` is
 * the task's own work. `moving`, `copied`, `moved`: by movers. `retrying`, `retried`: of dead letters. `SIG…`: by whoever
 * sends the signal, before it does.
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
  | Signal

export type Signal = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP'

/** Writes one line; `pid` is that of whoever it is about, this process by default. */
export function note(ledger: string, verb: LedgerVerb, what: readonly string[], pid = process.pid): void {
  appendFileSync(ledger, `${verb} ${pid} ${what.join(',')}\n`)
}

export interface LedgerLine {
  readonly verb: LedgerVerb
  readonly pid: number
  /** Keys of tasks; of a signal, the role that got it. */
  readonly what: readonly string[]
}

/** The lines of a ledger. Throws where one isn't whole. */
export function* linesOf(text: string): Generator<LedgerLine> {
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, verb, pid, what] = /^(\w+) (\d+) (\S+)$/.exec(line) ?? []
    if (verb === undefined || what === undefined) throw new Error(`Expected a line of the ledger, got ${line}`)
    yield { verb: verb as LedgerVerb, pid: Number(pid), what: what.split(',') }
  }
}
