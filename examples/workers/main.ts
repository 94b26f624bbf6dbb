// Hashes (SHA-256) every file below a folder by workers that are started by hand:
//
//   npx tsc -b examples
//   node build/examples/workers/main.js node_modules ./queue     puts a task for each file into the queue, and waits
//   node build/examples/workers/worker.js ./queue                in a second terminal
//   node build/examples/workers/worker.js ./queue                in a third one
//   kill -9 <one of the two>                                     nothing is lost: the other one takes over
//   sha256sum --quiet -c checksums.sha256                        when main.js has ended
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { partial, TaskQueue } from 'ptq'
import { filesBelow } from '../quickstart/files-below.js'
import { addLine } from './tasks.js'

const [folder = 'node_modules', queue = './queue'] = process.argv.slice(2)
const root = process.cwd()
// On several machines this has to be a folder that they share, as the queue's is.
const lists = mkdtempSync(join(tmpdir(), 'ptq-lists-'))

const tq = new TaskQueue(queue)
const files = [...filesBelow(resolve(folder))]
await tq.insert(files.map(path => partial(addLine, path, root, lists)))
console.log(`Inserted ${files.length} into ${tq.url}: start workers`)
await tq.blockUntilEmpty({ intervalSeconds: 0.5 })

const lines = readdirSync(lists).flatMap(name => readFileSync(join(lists, name), 'utf8').split('\n'))
const distinct = [...new Set(lines)].filter(line => line !== '').sort()
writeFileSync('checksums.sha256', distinct.map(line => `${line}\n`).join(''))
rmSync(lists, { recursive: true })
for await (const task of tq.failures()) console.error(`${task.id}: ${task.failures.at(-1)?.reason}`)
console.log(`${distinct.length} of ${files.length} files are in checksums.sha256; sha256sum -c checks them.`)
await tq.close()
