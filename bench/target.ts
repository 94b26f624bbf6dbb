/** Whether a row's targets were reached. */
import type { Result, RowResult } from './measure.js'
import type { Target } from './row.js'

export interface Verdict {
  /** The target in words. */
  readonly target: string
  /** What was measured, in the target's unit. */
  readonly measured: number
  readonly reached: boolean
}

/** @throws Error if the row has no contender */
export function judge({ row, results }: RowResult): Verdict[] {
  const [ours] = results
  if (ours === undefined) throw new Error(`Expected "${row.title}" to have a contender`)
  return row.targets.map(target => judgeOne(target, ours, results))
}

function judgeOne(target: Target, ours: Result, results: readonly Result[]): Verdict {
  switch (target.kind) {
    case 'times': {
      const rival = results.find(({ contender }) => contender === target.rival)
      // A rival that isn't there (Python) leaves the promise unproved: NaN reaches nothing.
      const measured = rival === undefined ? Number.NaN : ours.tasksPerSecond / rival.tasksPerSecond
      return { target: `at least ${target.atLeast} × ${target.rival}`, measured, reached: measured >= target.atLeast }
    }
    case 'tasksPerSecond': {
      const measured = ours.tasksPerSecond
      const words = `at least ${target.atLeast.toLocaleString('en')} tasks/s`
      return { target: words, measured, reached: measured >= target.atLeast }
    }
    case 'rssGrowthMb': {
      const measured = ours.rssGrowthMb
      return { target: `memory grows by less than ${target.under} MB`, measured, reached: measured < target.under }
    }
    case 'seconds': {
      const measured = ours.seconds
      return { target: `at most ${target.atMost} s`, measured, reached: measured <= target.atMost }
    }
  }
}
