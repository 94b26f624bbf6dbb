/**
 * Runs test files with Node's test runner and prints its last lines. Each file is a process: leftovers of a test can't
 * reach the next file.
 *
 * Without arguments, all but those named `*.slow.test.ts` and `*.soak.test.ts`; with `--slow`, the slow ones alone; with `--all`, all:
 * those of a soak, too, for which CI has no time. Other arguments are
 * parts of paths: the files that contain one of them run, slow or not.
 */
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'

/** A file that hangs fails after so long. Milliseconds. */
const timeoutMs = 300_000

const { values, positionals } = parseArgs({
  options: { slow: { type: 'boolean', default: false }, all: { type: 'boolean', default: false } },
  allowPositionals: true,
})

function isWanted(name: string): boolean {
  if (positionals.length > 0) return positionals.some(part => name.includes(part))
  if (values.all) return true
  return !name.endsWith('.soak.test.js') && name.endsWith('.slow.test.js') === values.slow
}

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.js') && isWanted(name))
  .sort()
  .map(name => join(import.meta.dirname, name))

if (files.length === 0) {
  console.error(`Expected test files matching ${positionals.join(', ')}, found none in ${import.meta.dirname}`)
  process.exitCode = 1
} else {
  // Many wait for leases, servers and processes half of their time: twice as many as there are cores.
  run({ files, concurrency: 2 * availableParallelism(), timeout: timeoutMs })
    .on('test:fail', () => {
      process.exitCode = 1
    })
    .compose(new spec())
    .pipe(process.stdout)
}
