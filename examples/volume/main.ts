// Halves two volumes twice over a grid of boxes, in three ways, and compares: npm run volume [-- folder [x,y,z [chunk]]]
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { grid, LocalTaskQueue, partial, type TaskGrid, TaskQueue } from 'ptq'
import { downsample, type Method, paint } from './tasks.js'
import { createVolume, type Vec3, type Volume } from './volume.js'

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, '../../volume'))
const shape = shapeOf(process.argv[3] ?? '256,256,64')
/** Edge of a box; for real data such that a task takes some seconds. */
const chunk = Number(process.argv[4] ?? 64)

// The data: an 8-bit picture and 16-bit numbers of cells, made up by tasks of the same kind.
const image: Volume = { path: join(folder, 'image.raw'), type: 'uint8', shape }
const cells: Volume = { path: join(folder, 'cells.raw'), type: 'uint16', shape }
mkdirSync(folder, { recursive: true })
for (const volume of [image, cells]) createVolume(volume)
await using threads = new LocalTaskQueue({ parallel: true })
await threads.insertAll(grid(partial(paint, image, cells), { shape, chunk }))

// Three ways to run the same tasks.
await using oneThread = new LocalTaskQueue({ parallel: 0 })
const queueFolder = join(folder, 'queue')
await using queue = new TaskQueue(`fq://${queueFolder}`)
const ways: Record<string, (tasks: TaskGrid) => Promise<number>> = {
  'one-thread': tasks => oneThread.insertAll(tasks),
  'all-cores': tasks => threads.insertAll(tasks),
  // Other machines that see the folder could work on it with `ptq poll`.
  'file-queue': async tasks => {
    await queue.insert(tasks)
    return queue.poll({ parallel: true, untilEmpty: true })
  },
}

const hashes = new Map<string, string>()
for (const [way, run] of Object.entries(ways)) {
  const startMs = performance.now()
  const hash = createHash('sha256')
  let boxes = 0
  for (const [name, volume, method] of [
    ['image', image, 'mean'],
    ['cells', cells, 'mode'],
  ] as const) {
    let from: Volume = volume
    for (const mip of [1, 2]) {
      const to: Volume = { ...from, path: join(folder, `${name}-${mip}-${way}.raw`), shape: half(from.shape) }
      boxes += await halve(from, to, method, run)
      hash.update(readFileSync(to.path))
      from = to
    }
  }
  hashes.set(way, hash.digest('hex'))
  console.log(`${way}: ${boxes} boxes in ${Math.round(performance.now() - startMs)} ms, SHA-256 ${hashes.get(way)}`)
}
rmSync(queueFolder, { recursive: true })

if (new Set(hashes.values()).size > 1) {
  console.error('Expected the same result of each way')
  process.exitCode = 1
}

/** One task a box of the result; resolves when all have run, so that the next level can be made of this one. */
async function halve(from: Volume, to: Volume, method: Method, run: (tasks: TaskGrid) => Promise<number>) {
  createVolume(to)
  const tasks = grid(partial(downsample, from, to, method), { shape: to.shape, chunk })
  const done = await run(tasks)
  if (done !== tasks.length) throw new Error(`Expected ${tasks.length} boxes of ${to.path}, got ${done}`)
  return done
}

function half(full: Vec3): Vec3 {
  return [Math.ceil(full[0] / 2), Math.ceil(full[1] / 2), Math.ceil(full[2] / 2)]
}

function shapeOf(text: string): Vec3 {
  const [x = 0, y = 0, z = 0, ...more] = text.split(',').map(Number)
  if (more.length === 0 && [x, y, z].every(size => Number.isInteger(size) && size > 0)) return [x, y, z]
  console.error(`Expected a shape such as 256,256,64, got ${text}: npm run volume -- folder x,y,z chunk`)
  process.exit(1)
}
