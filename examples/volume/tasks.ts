import { type Box, queueable } from 'ptq'
import { voxelAt } from './tissue.js'
import { newVoxels, readBox, sizeOf, type Vec3, type Volume, type Voxels, writeBox } from './volume.js'

/** Rule that makes one voxel of eight: their mean (pictures), or the most frequent one (numbers of cells). */
export type Method = 'mean' | 'mode'

/** Fills a box of both volumes. */
export const paint = queueable(function paint(image: Volume, cells: Volume, box: Box<Vec3>) {
  const [[minX, minY, minZ], [maxX, maxY, maxZ]] = box
  const [width, height, depth] = sizeOf(box)
  const greys = newVoxels(image.type, width * height * depth)
  const numbers = newVoxels(cells.type, greys.length)
  let at = 0
  for (let z = minZ; z < maxZ; z++) {
    for (let y = minY; y < maxY; y++) {
      for (let x = minX; x < maxX; x++, at++) {
        const { cell, grey } = voxelAt(x, y, z)
        greys[at] = grey
        numbers[at] = cell
      }
    }
  }
  writeBox(image, box, greys)
  writeBox(cells, box, numbers)
})

/** Fills a box of a volume of half the size. It writes only that box, so it may run twice. */
export const downsample = queueable(function downsample(from: Volume, to: Volume, method: Method, box: Box<Vec3>) {
  const [min, max] = box
  const source: Box<Vec3> = [
    [min[0] * 2, min[1] * 2, min[2] * 2],
    // A volume of odd size ends in the middle of a cube.
    [Math.min(max[0] * 2, from.shape[0]), Math.min(max[1] * 2, from.shape[1]), Math.min(max[2] * 2, from.shape[2])],
  ]
  writeBox(to, box, halved(readBox(from, source), sizeOf(source), from.type, method))
})

function halved(voxels: Voxels, [width, height, depth]: Vec3, type: Volume['type'], method: Method): Voxels {
  const [newWidth, newHeight, newDepth] = [Math.ceil(width / 2), Math.ceil(height / 2), Math.ceil(depth / 2)]
  const smaller = newVoxels(type, newWidth * newHeight * newDepth)
  const summary = method === 'mean' ? mean : mode
  // The voxels of one cube; at the far edges there are fewer than eight.
  const cube = new Uint16Array(8)
  let at = 0
  for (let z = 0; z < depth; z += 2) {
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) {
        let count = 0
        for (let k = z; k < z + 2 && k < depth; k++) {
          for (let j = y; j < y + 2 && j < height; j++) {
            for (let i = x; i < x + 2 && i < width; i++) cube[count++] = voxels[i + width * (j + height * k)] ?? 0
          }
        }
        smaller[at++] = summary(cube, count)
      }
    }
  }
  return smaller
}

function mean(cube: Uint16Array, count: number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += cube[i] ?? 0
  return Math.round(sum / count)
}

/** The first of the commonest ones. */
function mode(cube: Uint16Array, count: number): number {
  let [best, most] = [0, 0]
  for (let i = 0; i < count; i++) {
    let same = 1
    for (let j = i + 1; j < count; j++) if (cube[j] === cube[i]) same++
    if (same > most) [best, most] = [cube[i] ?? 0, same]
  }
  return best
}
