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
      const named = (name: string) => results.find(({ contender }) => contender === name)
      const contender = target.contender === undefined ? ours : named(target.contender)
      const rival = named(target.rival)
      // A rival that isn't there (Python) leaves the promise unproved: NaN reaches nothing.
      const measured = (contender?.tasksPerSecond ?? Number.NaN) / (rival?.tasksPerSecond ?? Number.NaN)
      const words = `${target.contender === undefined ? '' : `${target.contender} `}at least ${target.atLeast} × ${target.rival}`
      return { target: words, measured, reached: measured >= target.atLeast }
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
    case 'rssPeakMb': {
      const measured = ours.rssPeakMb
      return { target: `memory stays under ${target.under} MB`, measured, reached: measured < target.under }
    }
    case 'lostRenames': {
      const measured = Math.max(...results.map(({ lostRenames }) => lostRenames ?? Number.NaN))
      const words = `under ${target.under * 100} % of renames lost`
      return { target: words, measured, reached: measured < target.under }
    }
    case 'mainShare': {
      const measured = ours.mainShare ?? Number.NaN
      const words = `the main thread does under ${target.under * 100} % of the work`
      return { target: words, measured, reached: measured < target.under }
    }
    case 'seconds': {
      const measured = ours.seconds
      return { target: `at most ${target.atMost} s`, measured, reached: measured <= target.atMost }
    }
  }
}
