/** The output of `--json`: one row a line, each with the machine on which it was measured. */
import { availableParallelism, cpus, type } from 'node:os'
import type { Result, RowResult } from './measure.js'
import type { Scope } from './row.js'
import type { Verdict } from './target.js'

export interface JsonRow {
  readonly scope: Scope
  readonly title: string
  readonly place: string
  readonly machine: Machine
  /** ptq's first. */
  readonly results: readonly Result[]
  readonly verdicts: readonly Verdict[]
}

interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly system: string
  /** e.g. `v24.1.0` */
  readonly node: string
  /** e.g. `2026-01-31` */
  readonly date: string
}

export function jsonRow({ row, place, results }: RowResult, verdicts: readonly Verdict[]): JsonRow {
  const machine = {
    cpu: cpus()[0]?.model.trim() ?? process.arch,
    cores: availableParallelism(),
    system: type(),
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  }
  return { scope: row.scope, title: row.title, place, machine, results, verdicts }
}
