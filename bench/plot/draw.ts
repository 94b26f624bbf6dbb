/**
 * Draws panels as one SVG. Points on a logarithmic axis, since the length of a bar would mean nothing there. The chart
 * has its own background: the theme of a page may differ from that of the browser, which selects the colours.
 */
import { type LogScale, logScale, rateText, ratioText, tickText } from './log-scale.js'
import type { Panel } from './panels.js'

const WIDTH = 860
const MARGIN = 24
/** The ends of the axis; the space beyond is for labels and numbers. */
const AXIS_LEFT = 236
const AXIS_RIGHT = 640
const TITLE_HEIGHT = 72
const HEADING_HEIGHT = 34
const LINE_HEIGHT = 25
const PANEL_GAP = 14
const CAPTION_HEIGHT = 56

const STYLE = `
  svg { color-scheme: light dark; font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; }
  .paper { fill: #ffffff; stroke: #d0d7de; }
  .grid { stroke: #d8dee4; }
  .track { stroke-width: 2; stroke: #c4ccd4; }
  .text { fill: #1f2328; }
  .soft { fill: #59636e; }
  .title { font-size: 16px; font-weight: 600; }
  .heading, .number { font-weight: 600; }
  .small { font-size: 12px; }
  .ours { fill: #0969da; }
  .track.ours { stroke: #0969da; }
  .rival { fill: #6e7781; }
  .floor { fill: #ffffff; stroke: #6e7781; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d; }
    .grid { stroke: #262c34; }
    .track { stroke: #3d444d; }
    .text { fill: #e6edf3; }
    .soft { fill: #9198a1; }
    .ours { fill: #58a6ff; }
    .track.ours { stroke: #58a6ff; }
    .rival { fill: #8b949e; }
    .floor { fill: #0d1117; stroke: #8b949e; }
  }`

/** @param caption what was measured on, and when */
export function draw(panels: readonly Panel[], caption: string): string {
  const scale = logScale(panels.flatMap(({ bars }) => bars.map(({ tasksPerSecond }) => tasksPerSecond)))
  const heights = panels.map(({ bars }) => HEADING_HEIGHT + bars.length * LINE_HEIGHT + PANEL_GAP)
  const axisBottom = TITLE_HEIGHT + heights.reduce((sum, height) => sum + height, 0)
  const height = axisBottom + CAPTION_HEIGHT
  let top = TITLE_HEIGHT
  const drawn = panels.map((panel, index) => {
    const svg = drawPanel(panel, scale, top)
    top += heights[index] ?? 0
    return svg
  })
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">Tasks a second: ptq beside its rivals. ${escaped(summary(panels))}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(MARGIN, 34, 'text title', 'No-op tasks a second'),
    text(WIDTH - MARGIN, 34, 'soft small', 'logarithmic: each line is ten times the one before', 'end'),
    ...drawGrid(scale, TITLE_HEIGHT - 6, axisBottom - 4),
    ...drawn.flat(),
    ...drawLegend(axisBottom + 18),
    text(MARGIN, axisBottom + 40, 'soft small', caption),
    '</svg>',
  ].join('\n')}\n`
}

function drawGrid(scale: LogScale, top: number, bottom: number): string[] {
  return scale.ticks.flatMap(tick => {
    const x = placeOf(scale, tick)
    return [
      `<line class="grid" x1="${x}" y1="${top}" x2="${x}" y2="${bottom}"/>`,
      text(x, top - 6, 'soft small', tickText(tick), 'middle'),
    ]
  })
}

function drawPanel({ heading, bars }: Panel, scale: LogScale, top: number): string[] {
  return [
    text(MARGIN, top + 20, 'text heading', heading),
    ...bars.flatMap(({ label, role, tasksPerSecond, oursIs }, index) => {
      const y = top + HEADING_HEIGHT + index * LINE_HEIGHT + LINE_HEIGHT / 2
      const x = placeOf(scale, tasksPerSecond)
      const ours = role === 'ours'
      const ratio = oursIs === undefined ? '' : `ptq is ${ratioText(oursIs)}`
      return [
        text(AXIS_LEFT - 14, y + 4, ours ? 'text number' : 'text', label, 'end'),
        `<line class="track ${role === 'ours' ? role : ''}" x1="${AXIS_LEFT}" y1="${y}" x2="${x}" y2="${y}"/>`,
        `<circle class="${role}" cx="${x}" cy="${y}" r="${ours ? 6 : 5}"/>`,
        text(AXIS_RIGHT + 92, y + 4, ours ? 'text number' : 'text', rateText(tasksPerSecond), 'end'),
        ...(ratio === '' ? [] : [text(WIDTH - MARGIN, y + 4, 'soft small', ratio, 'end')]),
      ]
    }),
  ]
}

function drawLegend(y: number): string[] {
  const entries = [
    ['ours', 'ptq'],
    ['rival', 'others; Python: its task-queue'],
    ['floor', 'the same work bare, with no queue around it'],
  ] as const
  let x = MARGIN
  return entries.flatMap(([role, words]) => {
    const left = x
    // About six units a letter.
    x += 44 + words.length * 6
    return [`<circle class="${role}" cx="${left + 6}" cy="${y - 4}" r="5"/>`, text(left + 18, y, 'soft small', words)]
  })
}

/** Text for screen readers. */
function summary(panels: readonly Panel[]): string {
  return panels
    .map(
      ({ heading, bars }) =>
        `${heading}: ${bars.map(bar => `${bar.label} ${rateText(bar.tasksPerSecond)}`).join(', ')}.`,
    )
    .join(' ')
}

function placeOf(scale: LogScale, value: number): number {
  return Math.round((AXIS_LEFT + scale.at(value) * (AXIS_RIGHT - AXIS_LEFT)) * 10) / 10
}

function text(
  x: number,
  y: number,
  className: string,
  words: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  return `<text class="${className}" x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
