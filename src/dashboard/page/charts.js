// @ts-check
/** Charts over time: tasks a minute, and what waits. */
import { element, setText } from './elements.js'
import { count } from './format.js'

/** @typedef {import('../count-history.js').Point} Point */

const maxPoints = 3_000
const chartHeight = 150
/** Rates are means over so long at least: single tasks would be peaks otherwise. Seconds. */
const minBinSeconds = 10
const bins = 120

export class Charts {
  /** @type {Point[]} */
  #points = []
  #rates = new Chart('Tasks a minute', [
    { label: 'Done', color: '--done', fill: true },
    { label: 'Failed', color: '--failed', fill: false },
  ])
  #waiting = new Chart('Waiting', [{ label: 'Waiting', color: '--waiting', fill: true }])
  element = element('div', { class: 'charts' }, this.#rates.element, this.#waiting.element)

  /** @param {readonly Point[]} points */
  reset(points) {
    this.#points = [...points]
    this.draw()
  }

  /** @param {Point} point */
  add(point) {
    this.#points.push(point)
    if (this.#points.length > maxPoints) this.#points = this.#points.filter((_, index) => index % 2 === 0)
    this.draw()
  }

  draw() {
    if (this.element.offsetParent === null) return
    this.#rates.draw(ratesOf(this.#points))
    this.#waiting.draw([this.#points.map(([atMs]) => atMs / 1000), this.#points.map(([, waiting]) => waiting)])
  }
}

/**
 * Rates a minute in bins of equal length.
 *
 * @param {readonly Point[]} points
 * @returns {(number | null)[][]}
 */
function ratesOf(points) {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined) return [[], [], []]
  const binMs = Math.max(minBinSeconds, (last[0] - first[0]) / 1000 / bins) * 1000
  /** @type {(number | null)[][]} */
  const rows = [[], [], []]
  let from = first
  for (const point of points) {
    const minutes = (point[0] - from[0]) / 60_000
    if (point === from || (point[0] - from[0] < binMs && point !== last)) continue
    // A bin that has just begun would jump.
    if (point === last && point[0] - from[0] < binMs / 2) break
    rows[0]?.push(point[0] / 1000)
    rows[1]?.push(rateOf(from[3], point[3], minutes))
    rows[2]?.push(rateOf(from[4], point[4], minutes))
    from = point
  }
  return rows
}

/**
 * @param {number | null} before
 * @param {number | null} after
 * @param {number} minutes
 */
function rateOf(before, after, minutes) {
  // Fewer after a purge, a rezero or a retry.
  return before === null || after === null ? null : Math.max(0, after - before) / minutes
}

class Chart {
  #series
  #title
  #plot
  #values
  #host = element('div', { class: 'plot', 'aria-hidden': true })
  /** @type {any} */
  #uplot

  /**
   * @param {string} title
   * @param {readonly { label: string, color: string, fill: boolean }[]} series
   */
  constructor(title, series) {
    this.#series = series
    this.#title = title
    this.#values = series.map(() => element('b', {}, '–'))
    const legend = series.map(({ label, color }, index) =>
      element('span', {}, element('i', { class: `swatch ${color.slice(2)}` }), `${label} `, this.#values[index]),
    )
    this.#plot = element(
      'figure',
      {},
      element('figcaption', {}, element('strong', {}, title), element('span', { class: 'legend' }, ...legend)),
      this.#host,
    )
    new ResizeObserver(() => this.#resize()).observe(this.#host)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#uplot?.redraw(false, true))
  }

  get element() {
    return this.#plot
  }

  /** @param {(number | null)[][]} data times, then a row for each series */
  draw(data) {
    if (this.#uplot === undefined) {
      if (this.#host.clientWidth === 0) return
      this.#uplot = this.#make(data)
    } else this.#uplot.setData(data)
    this.#showValues((data[0]?.length ?? 0) - 1)
  }

  /** @param {(number | null)[][]} data */
  #make(data) {
    const axis = {
      stroke: () => color('--muted'),
      grid: { stroke: () => color('--line'), width: 1 },
      ticks: { show: false },
    }
    const font = '12px system-ui, sans-serif'
    return new /** @type {any} */ (globalThis).uPlot(
      {
        width: this.#host.clientWidth,
        height: chartHeight,
        legend: { show: false },
        cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
        scales: {
          y: {
            range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number | null} */ max) => [
              0,
              Math.max(1, (max ?? 0) * 1.1),
            ],
          },
        },
        axes: [
          { ...axis, font, space: 80, grid: { show: false } },
          {
            ...axis,
            font,
            size: 56,
            values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map(short),
          },
        ],
        series: [
          {},
          ...this.#series.map(({ label, color: name, fill }) => ({
            label,
            stroke: () => color(name),
            width: 2,
            points: { show: false },
            ...(fill && { fill: () => `color-mix(in srgb, ${color(name)} 15%, transparent)` }),
          })),
        ],
        hooks: {
          setCursor: [
            (/** @type {any} */ { cursor, data: shown }) => this.#showValues(cursor.idx ?? (shown[0]?.length ?? 0) - 1),
          ],
        },
      },
      data,
      this.#host,
    )
  }

  /** @param {number} index */
  #showValues(index) {
    for (const [series, node] of this.#values.entries()) {
      const value = this.#uplot?.data[series + 1]?.[index]
      setText(node, value === undefined ? '–' : count(value === null ? null : Math.round(value)))
    }
    const text = this.#series.map(({ label }, series) => `${label} ${this.#values[series]?.textContent}`).join(', ')
    this.#plot.setAttribute('aria-label', `${this.#title}: ${text}`)
  }

  #resize() {
    const width = this.#host.clientWidth
    if (width > 0 && this.#uplot !== undefined) this.#uplot.setSize({ width, height: chartHeight })
  }
}

/** @param {string} name of a variable in page.css */
function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** @param {number} value */
function short(value) {
  return new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}
