// Runs every test file (or those whose path contains one of the arguments) with Node's own test runner, two files at a
// time, and prints its closing lines. A file is a process of its own: what a test leaves behind can't reach the next.
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const wanted = process.argv.slice(2)
const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.js') && (wanted.length === 0 || wanted.some(part => name.includes(part))))
  .sort()
  .map(name => join(import.meta.dirname, name))

if (files.length === 0) {
  console.error(`Expected test files matching ${wanted.join(', ')}, found none in ${import.meta.dirname}`)
  process.exitCode = 1
} else {
  run({ files, concurrency: Math.max(2, availableParallelism()), timeout: 300_000 })
    .on('test:fail', () => {
      process.exitCode = 1
    })
    .compose(new spec())
    .pipe(process.stdout)
}
