// Hashes (SHA-256) every file below a folder on all cores: npm run quickstart [-- folder]
import { statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { LocalTaskQueue, partial } from 'ptq'
import { checksumLine } from './checksum-line.js'
import { filesBelow } from './files-below.js'
import { sha256 } from './tasks.js'

const root = join(import.meta.dirname, '../../..')
const list = join(root, 'checksums.sha256')
const folder = resolve(process.argv[2] ?? join(root, 'node_modules'))

const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false
const paths = isFolder ? [...filesBelow(folder)].filter(path => path !== list) : []
const tasks = paths.map(path => partial(sha256, path))
if (tasks.length === 0) {
  console.error(`Expected a folder with files in it, got ${folder}: npm run quickstart -- folder`)
  process.exit(1)
}

await using lq = new LocalTaskQueue({ parallel: true })
const hashed: typeof tasks = []
const lines: string[] = []
for await (const result of lq.results(tasks, { ordered: true })) {
  const path = String(result.task.args[0])
  if (result.ok) {
    hashed.push(result.task)
    lines.push(checksumLine(result.value, path, root))
  } else {
    console.error(`${path}: ${result.error.message}`)
    process.exitCode = 1
  }
}
writeFileSync(list, lines.join(''))
console.log(`${hashed.length} of ${tasks.length} files are in ${list}; there, sha256sum -c checks them.`)

// Both once more, now that the first pass has brought all files into the page cache and the threads are there.
const allCores = await filesPerSecond(() => lq.insertAll(hashed))
const oneThread = await filesPerSecond(() => hashed.forEach(task => void task.execute()))
console.log(`${allCores} files/s on all cores, ${oneThread} in one thread (page cache warm for both)`)

async function filesPerSecond(work: () => unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return Math.round((hashed.length / (performance.now() - startMs)) * 1000)
}
