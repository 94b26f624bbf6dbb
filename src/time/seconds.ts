/** Checks times that callers give, in seconds, and rounds them up to what a backend can do. */
import { argumentError } from '../errors/errors.js'

/** @throws TypeError unless `seconds` is a finite number above 0, or from 0 on where `zero` is allowed */
export function requireSeconds(name: string, seconds: unknown, options: { zero?: boolean } = {}): number {
  const zero = options.zero ?? false
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 0 || (seconds === 0 && !zero)) {
    throw argumentError(name, zero ? 'a number of seconds of 0 or more' : 'a number of seconds above 0', seconds)
  }
  return seconds
}

/** A backend's limits for times: see `Capabilities`. */
interface TimeLimits {
  readonly secondsStep: number
  readonly maxLeaseSeconds: number
  readonly maxDelaySeconds: number
}

/** A lease's length as the backend can hold it. @throws TypeError where it is longer than the backend can */
export function leaseSeconds(name: string, seconds: number, capabilities: TimeLimits, label: string): number {
  return fitted(name, seconds, capabilities.secondsStep, capabilities.maxLeaseSeconds, label)
}

/** A delay as the backend can hold it. @throws TypeError where it is longer than the backend can */
export function delaySeconds(name: string, seconds: number, capabilities: TimeLimits, label: string): number {
  return fitted(name, seconds, capabilities.secondsStep, capabilities.maxDelaySeconds, label)
}

function fitted(name: string, seconds: number, step: number, max: number, label: string): number {
  const steps = seconds / step
  // 1.1 / 0.001 is 1100.0000000000002: that is 1100 steps, not 1101.
  const whole = Math.abs(steps - Math.round(steps)) < 1e-6 ? Math.round(steps) : Math.ceil(steps)
  const rounded = step < 1 ? whole / Math.round(1 / step) : whole * step
  if (rounded > max) throw argumentError(name, `at most ${max} seconds, the limit of ${label}`, seconds)
  return rounded
}
