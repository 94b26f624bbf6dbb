// Hashes (SHA-256) every file below a folder on all cores, and says how small it becomes: npm run quickstart [-- [--queue sqs] folder]
import { statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { partial } from 'ptq'
import { checksumLine } from './checksum-line.js'
import { filesBelow } from './files-below.js'
import { hashHere } from './hash-here.js'
import { hashThroughQueue } from './hash-through-queue.js'
import { digest } from './tasks.js'

const { queue, folder } = argumentsOf(process.argv.slice(2))
const root = join(import.meta.dirname, '../../..')
const list = join(root, 'checksums.sha256')
const place = resolve(folder ?? join(root, 'node_modules'))

const isFolder = statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false
const paths = isFolder ? [...filesBelow(place)].filter(path => path !== list) : []
if (paths.length === 0) {
  console.error(`Expected a folder with files in it, got ${place}: npm run quickstart -- folder`)
  process.exit(1)
}

const tasks = paths.map(path => partial(digest, path))
const hashing = queue === undefined ? hashHere(tasks) : hashThroughQueue(tasks, queue)
const { digests, reasons, speed } = await hashing.catch(leave)
for (const [path, reason] of reasons) {
  console.error(`${path}: ${reason}`)
  process.exitCode = 1
}
const hashed = paths.flatMap(path => {
  const found = digests.get(path)
  return found === undefined ? [] : checksumLine(found.sha256, path, root)
})
writeFileSync(list, hashed.join(''))
const gzipMb = [...digests.values()].reduce((sum, { gzipBytes }) => sum + gzipBytes, 0) / 1e6
const size = `gzip makes them ${gzipMb.toFixed(1)} MB`
console.log(`${hashed.length} of ${paths.length} files are in ${list}; there, sha256sum -c checks them; ${size}.`)
console.log(speed)

function argumentsOf(args: string[]): { queue: string | undefined; folder: string | undefined } {
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { queue: { type: 'string' } } })
    return { queue: values.queue, folder: positionals[0] }
  } catch (error) {
    return leave(error)
  }
}

function leave(error: unknown): never {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
