// The volume example as a process; its results against a plain loop over the whole volume.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'

const volume = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../../examples/volume/main.js'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  })

type Shape = readonly [number, number, number]

const half = (shape: Shape): Shape => [Math.ceil(shape[0] / 2), Math.ceil(shape[1] / 2), Math.ceil(shape[2] / 2)]

function halved(data: readonly number[], [width, height, depth]: Shape, summary: (cube: number[]) => number): number[] {
  const result: number[] = []
  for (let z = 0; z < depth; z += 2) {
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) {
        const cube = [0, 1, 2, 3, 4, 5, 6, 7]
          .map(bits => [x + (bits & 1), y + ((bits >> 1) & 1), z + (bits >> 2)] as const)
          .filter(([i, j, k]) => i < width && j < height && k < depth)
          .map(([i, j, k]) => data[i + width * (j + height * k)] ?? Number.NaN)
        result.push(summary(cube))
      }
    }
  }
  return result
}

const mean = (cube: number[]) => Math.round(cube.reduce((sum, value) => sum + value, 0) / cube.length)
const count = (cube: number[], value: number) => cube.filter(other => other === value).length
const mode = (cube: number[]) => cube.reduce((best, value) => (count(cube, value) > count(cube, best) ? value : best))

function voxels(path: string): number[] {
  const bytes = readFileSync(path)
  return path.includes('cells')
    ? Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16LE(2 * index))
    : [...bytes]
}

it('the volume example halves two volumes in three ways, each with the result of a plain loop', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-volume-'))
  const shape: Shape = [45, 38, 17]
  const { stdout, stderr, status } = volume(folder, shape.join(), '8')
  assert.equal(stderr, '')
  assert.equal(status, 0)
  // 3 × 3 × 2 boxes of 23 × 19 × 9 voxels, 2 × 2 × 1 of 12 × 10 × 5, of each volume.
  assert.match(stdout, /^one-thread: 44 boxes in .*\nall-cores: 44 boxes in .*\nfile-queue: 44 boxes in .*\n$/)
  assert.equal(new Set(stdout.match(/[0-9a-f]{64}/g)).size, 1)

  for (const [name, summary] of [
    ['image', mean],
    ['cells', mode],
  ] as const) {
    const full = voxels(join(folder, `${name}.raw`))
    assert.ok(new Set(full).size > 8, 'there is something to see')
    const first = halved(full, shape, summary)
    const second = halved(first, half(shape), summary)
    for (const way of ['one-thread', 'all-cores', 'file-queue']) {
      assert.deepEqual(voxels(join(folder, `${name}-1-${way}.raw`)), first)
      assert.deepEqual(voxels(join(folder, `${name}-2-${way}.raw`)), second)
    }
  }
  assert.equal(readdirSync(folder).length, 2 + 2 * 2 * 3, 'the queue is gone')
  rmSync(folder, { recursive: true })
})

it('the volume example refuses an invalid shape in one sentence, with exit code 1', () => {
  const folder = join(tmpdir(), 'ptq-volume-never')
  for (const wrong of ['1,2', '0,5,5', '4,4,4,4', 'large']) {
    const { stdout, stderr, status } = volume(folder, wrong)
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.equal(stderr, `Expected a shape such as 256,256,64, got ${wrong}: npm run volume -- folder x,y,z chunk\n`)
  }
  assert.ok(!existsSync(folder))
})
