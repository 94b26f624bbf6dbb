/** The files of the page: its own, and uPlot's, which draws the charts. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file as it is sent. */
export interface PageFile {
  readonly type: string
  readonly body: Buffer
}

// They need no build: the package has them as they are written, beside its compiled code.
const folder = fileURLToPath(new URL('../../../src/dashboard/page/', import.meta.url))

const script = 'text/javascript; charset=utf-8'
const style = 'text/css; charset=utf-8'

const own: readonly (readonly [name: string, type: string])[] = [
  ['index.html', 'text/html; charset=utf-8'],
  ['page.css', style],
  ['page.js', script],
  ['actions.js', script],
  ['charts.js', script],
  ['details.js', script],
  ['elements.js', script],
  ['failures.js', script],
  ['format.js', script],
  ['tasks.js', script],
  ['workers.js', script],
  ['icon.svg', 'image/svg+xml'],
]

/** Reads all files, by name. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const icon = readFileSync(join(folder, 'icon.svg'))
  const charts = dirname(createRequire(import.meta.url).resolve('uplot'))
  return new Map([
    ...own.map(([name, type]) => [name, { type, body: readFileSync(join(folder, name)) }] as const),
    // Browsers ask for it on the answer to a link, which names no icon.
    ['favicon.ico', { type: 'image/svg+xml', body: icon }],
    ['uplot.js', { type: script, body: readFileSync(join(charts, 'uPlot.iife.min.js')) }],
    ['uplot.css', { type: style, body: readFileSync(join(charts, 'uPlot.min.css')) }],
  ])
}
