// The pyramid example as a process, against the tiles that sharp cuts by itself.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import sharp from 'sharp'

const root = join(import.meta.dirname, '../../..')
const pyramid = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, 'build/examples/pyramid/main.js'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  })

const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.jpg') || name.endsWith('.jpeg'))
    .map(name => name.replace(/\.jpe?g$/, ''))
    .sort()

it('the pyramid example cuts the same tiles as sharp, and a page that shows them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-pyramid-'))
  // A name that would break a page or a pattern for replacing that takes it as it is.
  const name = "a $& <b> č'"
  const picture = join(folder, `${name}.png`)
  const size = { width: 1030, height: 507 }
  await sharp(join(root, 'examples/pyramid/earth.jpg'))
    .extract({ left: 1900, top: 500, ...size })
    .toFile(picture)

  const { stdout, stderr, status } = pyramid(picture, join(folder, 'out'))
  assert.equal(stderr, '')
  assert.equal(status, 0)
  assert.match(stdout, /^24 tiles of 12 levels in \d+ ms\nfile:\/\/\/.*index\.html\n$/)

  await sharp(picture).tile({ size: 254, overlap: 1 }).toFile(join(folder, 'sharp.dz'))
  const ours = join(folder, 'out', `${name}_files`)
  const theirs = join(folder, 'sharp_files')
  assert.deepEqual(filesBelow(ours), filesBelow(theirs))
  for (const tile of filesBelow(ours)) {
    const [mine, other] = await Promise.all(
      [`${ours}/${tile}.jpg`, `${theirs}/${tile}.jpeg`].map(path =>
        sharp(path).raw().toBuffer({ resolveWithObject: true }),
      ),
    )
    assert.ok(mine && other)
    assert.deepEqual([mine.info.width, mine.info.height], [other.info.width, other.info.height], tile)
    if (mine.info.width < 200) continue
    // Both are lossy, and scale by different filters, which shows in the smallest: a tile of another place differs by far more.
    const differences = mine.data.map((value, index) => Math.abs(value - (other.data[index] ?? 0)))
    const mean = differences.reduce((sum, difference) => sum + difference, 0) / differences.length
    assert.ok(mean < 6, `${tile} differs by ${mean} of 255`)
  }

  const dzi = readFileSync(join(folder, 'out', `${name}.dzi`), 'utf8')
  assert.match(dzi, /Overlap="1" TileSize="254"/)
  assert.match(dzi, /<Size Width="1030" Height="507"\/>/)
  const page = readFileSync(join(folder, 'out/index.html'), 'utf8')
  const data: unknown = JSON.parse(/^const pyramid = (.*)$/m.exec(page)?.[1] ?? '')
  assert.deepEqual(data, { name, ...size, tileSize: 254, overlap: 1, top: 11 })
  assert.doesNotMatch(page, /<b>/)
  // The page loads nothing from elsewhere.
  assert.doesNotMatch(page, /https?:|(src|href)=/)
  // The levels between picture and tiles are gone.
  assert.deepEqual(readdirSync(join(folder, 'out')).sort(), [`${name}.dzi`, `${name}_files`, 'index.html'].sort())
  rmSync(folder, { recursive: true })
})

it('the pyramid example reports a missing picture in one sentence, and exits with 1', () => {
  const folder = join(tmpdir(), 'ptq-pyramid-never')
  for (const wrong of ['/no/such.jpg', import.meta.dirname]) {
    const { stdout, stderr, status } = pyramid(wrong, folder)
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.equal(stderr, `Expected a picture, got ${wrong}: npm run pyramid -- picture folder\n`)
  }
  const { stderr, status } = pyramid(join(root, 'package.json'), folder)
  assert.equal(status, 1)
  assert.match(stderr, /^Expected a picture, got .*package\.json: .*unsupported image format.*\n$/)
  assert.ok(!existsSync(folder))
})
