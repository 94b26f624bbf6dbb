/** The task of the rows of latency. */
import { writeFileSync } from 'node:fs'
import { queueable } from 'ptq'
import { monotonicMs } from '#ptq/time/monotonic.js'
import { countOne } from '../counter.js'

/** Writes down when it started, by the clock that all processes of a machine share: it may run in another one. */
export const noteStart = queueable(function noteStart(path: string): void {
  writeFileSync(path, String(monotonicMs()))
  countOne()
})
