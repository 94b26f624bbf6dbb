/** A logarithmic axis of tasks/s: from number to place, and from number to text. */

export interface LogScale {
  /** The powers of ten that have a line. */
  readonly ticks: readonly number[]
  /** The position of a value, from 0 (the first tick) to 1 (the last one). */
  at(value: number): number
}

/** Whole powers of ten around all values. */
export function logScale(values: readonly number[]): LogScale {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index)),
    at: value => (Math.log10(value) - first) / (last - first),
  }
}

/** e.g. `10 k`, `1 M`: for ticks */
export function tickText(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`
  return value >= 1e3 ? `${value / 1e3} k` : String(value)
}

/** e.g. `1,370,000`: three digits are more than noisy machines give. */
export function rateText(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en')
}

/** e.g. `49 ×`, `1.5 ×`, `0.66 ×` */
export function ratioText(ratio: number): string {
  return `${ratio >= 10 ? Math.round(ratio).toLocaleString('en') : Number(ratio.toPrecision(2))} ×`
}
