// Something to downsample: made up, but with what matters of a block of tissue, cells of many sizes and dark membranes.

/** One seed of a cell in each cube of so many voxels. */
const spacing = 24

/** A number of [0, 1) that depends on four integers only (FNV-1a, then the finisher of MurmurHash3). */
function noise(a: number, b: number, c: number, d: number): number {
  let hash = 0x811c9dc5
  for (const part of [a, b, c, d]) hash = Math.imul(hash ^ part, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

interface Seed {
  readonly x: number
  readonly y: number
  readonly z: number
  readonly cell: number
}

/** The seeds that may be nearest to a point of the cube (i, j, k), or second to nearest. */
function seedsAround(i: number, j: number, k: number): Seed[] {
  const seeds: Seed[] = []
  for (let a = i - 1; a <= i + 1; a++) {
    for (let b = j - 1; b <= j + 1; b++) {
      for (let c = k - 1; c <= k + 1; c++) {
        seeds.push({
          x: (a + noise(a, b, c, 1)) * spacing,
          y: (b + noise(a, b, c, 2)) * spacing,
          z: (c + noise(a, b, c, 3)) * spacing,
          cell: 1 + Math.floor(noise(a, b, c, 4) * 65_535),
        })
      }
    }
  }
  return seeds
}

/** The cube of the last voxel and its seeds: neighbours mostly have the same. */
let cube = ''
let seeds: readonly Seed[] = []

/** The number of the cell that a voxel belongs to (0: membrane), and its grey value. */
export function voxelAt(x: number, y: number, z: number): { cell: number; grey: number } {
  const [i, j, k] = [Math.floor(x / spacing), Math.floor(y / spacing), Math.floor(z / spacing)]
  if (cube !== `${i},${j},${k}`) {
    cube = `${i},${j},${k}`
    seeds = seedsAround(i, j, k)
  }
  let nearest = Number.POSITIVE_INFINITY
  let second = Number.POSITIVE_INFINITY
  let cell = 0
  for (const seed of seeds) {
    const distance = Math.sqrt((seed.x - x) ** 2 + (seed.y - y) ** 2 + (seed.z - z) ** 2)
    if (distance < nearest) {
      second = nearest
      nearest = distance
      cell = seed.cell
    } else if (distance < second) second = distance
  }
  const membrane = second - nearest < 1.5
  const grey = (membrane ? 50 : 150 + 40 * noise(cell, 0, 0, 5)) + 40 * noise(x, y, z, 6)
  return { cell: membrane ? 0 : cell, grey: Math.floor(grey) }
}
