// For `--import`: clocks that a test shifts. `date`: the wall clock was set; `sleep`: the machine slept, so that the
// wall clock and the uptime advanced and the monotonic clock didn't. Sent as messages by the process that forked this
// one.

import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'

export interface ClockShift {
  readonly clockShift: 'date' | 'sleep'
  readonly seconds: number
}

const { now } = Date
const { uptime } = os
let dateMs = 0
let sleptSeconds = 0
Date.now = () => now() + dateMs
os.uptime = () => uptime() + sleptSeconds
syncBuiltinESMExports()

/** Shifts the clocks of this process. */
export function shiftClocks({ clockShift, seconds }: ClockShift): void {
  dateMs += seconds * 1000
  if (clockShift === 'sleep') sleptSeconds += seconds
}

const listener = (message: unknown) => {
  if (typeof message === 'object' && message !== null && 'clockShift' in message) shiftClocks(message as ClockShift)
}
process.on('message', listener)
process.channel?.unref()
