// npm run plot -- --from build/bench.ndjson --to docs/bench.svg
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { JsonRow } from '../json-row.js'
import { readBenchFile } from './bench-file.js'
import { draw } from './draw.js'
import { panelsOf } from './panels.js'

const USAGE = `Usage: npm run plot -- [options]
  --from FILE  what npm run -s bench -- --json printed (default: build/bench.ndjson)
  --to FILE    the picture, as SVG (default: docs/bench.svg)`

function captionOf(rows: readonly JsonRow[]): string {
  const [first] = rows
  if (first === undefined) throw new Error('Expected at least one row, got an empty file')
  const { cpu, cores, system, node, date } = first.machine
  const model = cpu.replaceAll(/\(R\)|\(TM\)/g, '')
  const place = rows.find(({ scope }) => scope === 'fq')?.place
  const files = place === undefined ? '' : `, file queues in ${place}`
  return `${cores} cores of ${model}, ${system}, Node ${node.slice(1)}${files}; ${date}. Only ratios mean something elsewhere.`
}

try {
  const { values } = parseArgs({
    options: {
      from: { type: 'string', default: 'build/bench.ndjson' },
      to: { type: 'string', default: 'docs/bench.svg' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) console.log(USAGE)
  else {
    const rows = readBenchFile(values.from)
    writeFileSync(values.to, draw(panelsOf(rows), captionOf(rows)))
    console.log(`Drew ${values.to}`)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(USAGE)
  process.exitCode = 1
}
