/** Curves over the number of workers, as an SVG: requests to the server in a second, a line for each length of a task. */
import type { Finding } from './simulation.js'

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 400, 70, 110, 30, 50]
const COLOURS = ['#c0392b', '#2471a3', '#1e8449', '#7d3c98', '#b9770e']

export function chartOf(findings: readonly Finding[]): string {
  const lines = new Map<string, Finding[]>()
  for (const finding of findings) {
    const name = `${finding.taskSeconds} s tasks, ${finding.latencyMs} ms`
    lines.set(name, [...(lines.get(name) ?? []), finding])
  }
  const decades = (values: number[]) =>
    [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))] as const
  const [x0, x1] = decades(findings.map(({ workers }) => workers))
  const [y0, y1] = decades(findings.map(({ requestsPerSecondMean }) => requestsPerSecondMean))
  const part = (value: number, from: number, to: number) => (Math.log10(value) - from) / Math.max(1, to - from)
  const x = (value: number) => LEFT + part(value, x0, x1) * (WIDTH - LEFT - RIGHT)
  const y = (value: number) => HEIGHT - BOTTOM - part(value, y0, y1) * (HEIGHT - TOP - BOTTOM)
  const powers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index))
  const text = (atX: number, atY: number, anchor: string, words: string) =>
    `<text x="${atX.toFixed(0)}" y="${atY.toFixed(0)}" text-anchor="${anchor}">${words}</text>`
  const grid = [
    ...powers(x0, x1).map(
      value =>
        `<path d="M${x(value)} ${TOP}V${HEIGHT - BOTTOM}"/>${text(x(value), HEIGHT - BOTTOM + 18, 'middle', value.toLocaleString('en'))}`,
    ),
    ...powers(y0, y1).map(
      value =>
        `<path d="M${LEFT} ${y(value)}H${WIDTH - RIGHT}"/>${text(LEFT - 8, y(value) + 4, 'end', value.toLocaleString('en'))}`,
    ),
  ]
  const curves = [...lines].map(([name, each], index) => {
    const colour = COLOURS[index % COLOURS.length]
    const points = each.map(({ workers, requestsPerSecondMean }) => [x(workers), y(requestsPerSecondMean)] as const)
    const [lastX = 0, lastY = 0] = points.at(-1) ?? []
    const path = points.map(point => point.map(value => value.toFixed(1)).join(' ')).join('L')
    return `<g fill="${colour}"><path d="M${path}" stroke="${colour}" stroke-width="2" fill="none"/>${text(lastX + 6, lastY + 4, 'start', name)}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>
<g stroke="#ddd" fill="#333" stroke-width="1"><g stroke-width="0.5">${grid.join('\n').replaceAll('<text', '<text stroke="none"')}</g></g>
${curves.join('\n')}
<g fill="#333">${text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, 'middle', 'workers')}${text(LEFT, TOP - 12, 'start', 'requests to the metadata server, per second')}</g>
</svg>
`
}
