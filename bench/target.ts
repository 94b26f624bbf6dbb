/** Decides if a row's targets were reached. */
import type { Result, RowResult } from './measure.js'
import type { Target } from './row.js'

export interface Verdict {
  /** The target in words. */
  readonly target: string
  /** The measured value, in the target's unit. */
  readonly measured: number
  /** `undefined`: not measured, since a rival (Python), or what it takes to measure, is not on this machine. */
  readonly reached: boolean | undefined
}

/** @throws Error if a target names nobody in its row, or what it is about was not measured */
export function judge({ row, results }: RowResult): Verdict[] {
  const [ours] = results
  if (ours === undefined) throw new Error(`Expected "${row.title}" to have a contender`)
  return row.targets.map(target => {
    const verdict = judgeOne(target, ours, results)
    if (!Number.isNaN(verdict.measured)) return verdict
    if (isOutOfReach(target, row, results)) return { ...verdict, reached: undefined }
    throw new Error(`Expected a measurement for "${verdict.target}" of "${row.title}", got none`)
  })
}

/** True if the target can't be measured here. */
function isOutOfReach(target: Target, { contenders }: RowResult['row'], results: readonly Result[]): boolean {
  if (target.kind === 'mainShare') return process.platform !== 'linux'
  const rival = 'rival' in target ? contenders.find(({ name }) => name === target.rival) : undefined
  return rival !== undefined && !results.some(({ contender }) => contender === rival.name)
}

/** NaN: not measured. */
function judgeOne(target: Target, ours: Result, results: readonly Result[]): Verdict {
  const named = (name: string) => results.find(({ contender }) => contender === name)
  switch (target.kind) {
    case 'times': {
      const contender = target.contender === undefined ? ours : named(target.contender)
      const rival = named(target.rival)
      const measured = (contender?.tasksPerSecond ?? Number.NaN) / (rival?.tasksPerSecond ?? Number.NaN)
      const words = `${target.contender === undefined ? '' : `${target.contender} `}at least ${target.atLeast} × ${target.rival}`
      return { target: words, measured, reached: measured >= target.atLeast }
    }
    case 'tasksPerSecond': {
      const measured = ours.tasksPerSecond
      const words = `at least ${target.atLeast.toLocaleString('en')} tasks/s`
      return { target: words, measured, reached: measured >= target.atLeast }
    }
    case 'cpuTimes': {
      const measured = (named(target.rival)?.cpuMicrosPerTask ?? Number.NaN) / ours.cpuMicrosPerTask
      const words = `${target.rival} needs at least ${target.atLeast} × the CPU time`
      return { target: words, measured, reached: measured >= target.atLeast }
    }
    case 'cpuMicros': {
      const measured = ours.cpuMicrosPerTask
      return { target: `at most ${target.atMost} µs of CPU time a task`, measured, reached: measured <= target.atMost }
    }
    case 'requestsPerTask': {
      const contender = target.contender === undefined ? ours : named(target.contender)
      const measured = contender?.requestsPerTask ?? Number.NaN
      const words = `${target.contender === undefined ? '' : `${target.contender} `}at most ${target.atMost} requests a task`
      return { target: words, measured, reached: measured <= target.atMost }
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
