// Cuts a picture into deep zoom tiles on all cores, and writes a page to look at them: npm run pyramid [-- picture [folder]]
//
// Many cores: sharp works on the threads of libuv, four in a process unless UV_THREADPOOL_SIZE says more.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LocalTaskQueue, partial } from 'ptq'
import sharp from 'sharp'
import { dziFile, levelsOf, overlap, tileSize, tilesOf } from './levels.js'
import { cutTile, scaleLevel } from './tasks.js'

const root = join(import.meta.dirname, '../../..')
const example = join(root, 'examples/pyramid')
const picture = resolve(process.argv[2] ?? join(example, 'earth.jpg'))
const folder = resolve(process.argv[3] ?? join(root, 'build/pyramid'))

const isFile = statSync(picture, { throwIfNoEntry: false })?.isFile() ?? false
const { width, height } = isFile ? await sizeOf(picture) : refuse('npm run pyramid -- picture folder')

const name = basename(picture, extname(picture))
const levels = levelsOf(width, height)
const levelFolder = join(folder, `${name}_levels`)
const levelFile = (level: number) => join(levelFolder, `${level}.tif`)
const tileFolder = (level: number) => join(folder, `${name}_files`, String(level))
mkdirSync(levelFolder, { recursive: true })
for (const { level } of levels) mkdirSync(tileFolder(level), { recursive: true })

function* scaleTasks() {
  for (const { level, width, height } of levels) yield partial(scaleLevel, picture, levelFile(level), width, height)
}

function* tileTasks() {
  for (const level of levels) {
    for (const tile of tilesOf(level)) {
      yield partial(cutTile, levelFile(level.level), join(tileFolder(level.level), `${tile.name}.jpg`), tile)
    }
  }
}

await using lq = new LocalTaskQueue({ parallel: true })
const startMs = performance.now()
// Tiles need their level: two rounds, since tasks of one round depend on nothing.
await lq.insertAll(scaleTasks())
const tiles = await lq.insertAll(tileTasks())
rmSync(levelFolder, { recursive: true })

writeFileSync(join(folder, `${name}.dzi`), dziFile(width, height))
const pyramid = { name, width, height, tileSize, overlap, top: levels.length - 1 }
const page = readFileSync(join(example, 'viewer.html'), 'utf8')
// `<` must not end the script that holds it, and a function keeps `$` in names as it is.
const data = JSON.stringify(pyramid).replaceAll('<', '\\u003c')
writeFileSync(
  join(folder, 'index.html'),
  page.replace('/* PYRAMID */ null', () => data),
)
console.log(`${tiles} tiles of ${levels.length} levels in ${Math.round(performance.now() - startMs)} ms`)
console.log(pathToFileURL(join(folder, 'index.html')).href)

async function sizeOf(path: string): Promise<{ width: number; height: number }> {
  try {
    return (await sharp(path, { limitInputPixels: false }).metadata()).autoOrient
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

function refuse(reason: string): never {
  console.error(`Expected a picture, got ${picture}: ${reason}`)
  process.exit(1)
}
