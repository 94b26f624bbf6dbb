/** Curves over the number of workers, as an SVG: a panel for each measure, in it a line for each length of a task. */
import type { Finding } from './simulation.js'

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [680, 320, 80, 130, 34, 46]
const COLOURS = ['#c0392b', '#2471a3', '#1e8449', '#7d3c98', '#b9770e', '#16a085', '#555555']

/** Labels of lines that end at nearly the same height are placed below each other. */
const LINE_HEIGHT = 13

const PANELS: readonly (readonly [string, (finding: Finding) => number])[] = [
  ['tasks per second', ({ tasksPerSecond }) => tasksPerSecond],
  ['requests to the metadata server, per second', ({ requestsPerSecondMean }) => requestsPerSecondMean],
  ['names listed for each task', ({ namesPerTask }) => namesPerTask],
]

export function chartOf(findings: readonly Finding[]): string {
  const height = HEIGHT * PANELS.length
  const panels = PANELS.map(
    ([title, measure], index) => `<g transform="translate(0 ${index * HEIGHT})">${panel(findings, title, measure)}</g>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<title>Curves over the number of workers</title>
<rect width="${WIDTH}" height="${height}" fill="white"/>
${panels.join('\n')}
</svg>
`
}

function panel(findings: readonly Finding[], title: string, measure: (finding: Finding) => number): string {
  const lines = new Map<string, Finding[]>()
  for (const finding of findings) {
    const name = `${finding.taskSeconds} s tasks, ${finding.latencyMs} ms`
    lines.set(name, [...(lines.get(name) ?? []), finding])
  }
  const [x0, x1] = decades(findings.map(({ workers }) => workers))
  const [y0, y1] = decades(findings.map(measure))
  const part = (value: number, from: number, to: number) => (Math.log10(value) - from) / Math.max(1, to - from)
  const x = (value: number) => LEFT + part(value, x0, x1) * (WIDTH - LEFT - RIGHT)
  const y = (value: number) => HEIGHT - BOTTOM - part(value, y0, y1) * (HEIGHT - TOP - BOTTOM)
  const across = powers(x0, x1).map(value => ({
    line: `M${x(value)} ${TOP}V${HEIGHT - BOTTOM}`,
    label: text(x(value), HEIGHT - BOTTOM + 18, 'middle', value.toLocaleString('en')),
  }))
  const up = powers(y0, y1).map(value => ({
    line: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}`,
    label: text(LEFT - 8, y(value) + 4, 'end', value.toLocaleString('en')),
  }))
  const grid = [...across, ...up]
  const curves = [...lines].map(([name, each], index) => {
    const points = [...each]
      .sort((a, b) => a.workers - b.workers)
      .map(finding => [x(finding.workers), y(measure(finding))] as const)
    const [lastX = 0, lastY = 0] = points.at(-1) ?? []
    return { name, points, lastX, labelY: lastY + 4, colour: COLOURS[index % COLOURS.length] }
  })
  let above = Number.NEGATIVE_INFINITY
  for (const curve of [...curves].sort((a, b) => a.labelY - b.labelY)) {
    curve.labelY = Math.max(curve.labelY, above + LINE_HEIGHT)
    above = curve.labelY
  }
  const drawn = curves.map(({ name, points, lastX, labelY, colour }) => {
    const path = points.map(point => point.map(value => value.toFixed(1)).join(' ')).join('L')
    const dots = points.map(([atX, atY]) => `<circle cx="${atX.toFixed(1)}" cy="${atY.toFixed(1)}" r="3"/>`)
    const line = `<path d="M${path}" stroke="${colour}" stroke-width="2" fill="none"/>`
    return `<g fill="${colour}">${line}${dots.join('')}${text(lastX + 8, labelY, 'start', name)}</g>`
  })
  return `<path d="${grid.map(({ line }) => line).join('')}" stroke="#ddd" fill="none"/>
<g fill="#333">${grid.map(({ label }) => label).join('')}
${text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, 'middle', 'workers')}${text(LEFT, TOP - 12, 'start', title)}</g>
${drawn.join('\n')}`
}

/** The powers of ten around all values, as exponents. */
function decades(values: readonly number[]): readonly [number, number] {
  return [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))]
}

function powers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index))
}

function text(atX: number, atY: number, anchor: string, words: string): string {
  return `<text x="${atX.toFixed(0)}" y="${atY.toFixed(0)}" text-anchor="${anchor}">${words}</text>`
}
