// Raw volumes in files: voxels and nothing else, x fastest, then y, then z, in this machine's byte order.
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import type { Box } from 'ptq'

export type Vec3 = readonly [x: number, y: number, z: number]

/** A volume, as plain data that tasks can be given. */
export interface Volume {
  readonly path: string
  readonly type: 'uint8' | 'uint16'
  readonly shape: Vec3
}

export type Voxels = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>

export function newVoxels(type: Volume['type'], count: number): Voxels {
  return type === 'uint8' ? new Uint8Array(count) : new Uint16Array(count)
}

/** Makes the file at its full size, so that tasks can write their boxes in any order. */
export function createVolume({ path, type, shape }: Volume): void {
  const file = openSync(path, 'w')
  ftruncateSync(file, shape[0] * shape[1] * shape[2] * newVoxels(type, 1).BYTES_PER_ELEMENT)
  closeSync(file)
}

export function sizeOf([min, max]: Box<Vec3>): Vec3 {
  return [max[0] - min[0], max[1] - min[1], max[2] - min[2]]
}

/** The voxels of a box, x fastest. */
export function readBox(volume: Volume, box: Box<Vec3>): Voxels {
  const [width, height, depth] = sizeOf(box)
  const voxels = newVoxels(volume.type, width * height * depth)
  const file = openSync(volume.path, 'r')
  try {
    for (const [row, position] of rowsOf(volume, box, voxels)) {
      if (readSync(file, row, 0, row.length, position) < row.length) {
        throw new Error(
          `Expected ${volume.shape.join(' × ')} voxels of ${volume.type} in ${volume.path}, it is shorter`,
        )
      }
    }
  } finally {
    closeSync(file)
  }
  return voxels
}

/** Writes the voxels of a box, and no byte beside them: boxes that don't overlap may be written at once. */
export function writeBox(volume: Volume, box: Box<Vec3>, voxels: Voxels): void {
  const file = openSync(volume.path, 'r+')
  try {
    for (const [row, position] of rowsOf(volume, box, voxels)) {
      for (let done = 0; done < row.length; ) done += writeSync(file, row, done, row.length - done, position + done)
    }
  } finally {
    closeSync(file)
  }
}

/** Each row of a box along x: its bytes in `voxels`, and where they are in the file. */
function* rowsOf({ shape }: Volume, box: Box<Vec3>, voxels: Voxels): Generator<[Uint8Array, number]> {
  const [[minX, minY, minZ], [, maxY, maxZ]] = box
  const [width] = sizeOf(box)
  const voxelBytes = voxels.BYTES_PER_ELEMENT
  let offset = 0
  for (let z = minZ; z < maxZ; z++) {
    for (let y = minY; y < maxY; y++) {
      const row = new Uint8Array(voxels.buffer, offset, width * voxelBytes)
      yield [row, (minX + shape[0] * (y + shape[1] * z)) * voxelBytes]
      offset += row.length
    }
  }
}
