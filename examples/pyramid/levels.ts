// The layout of a Deep Zoom picture (DZI), as OpenSeadragon and others read it.
// Level `top` is the picture itself, each level below has half its width and height, level 0 is one pixel.

/** Edge of a tile without its overlap, and how many pixels it shares with each neighbour: as Deep Zoom tools have it. */
export const tileSize = 254
export const overlap = 1

/** One level of a pyramid. */
export interface Level {
  readonly level: number
  readonly width: number
  readonly height: number
}

/** A part of a level, as sharp's `extract` takes it, and the name of its file: `column_row`. */
export interface Tile {
  readonly name: string
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** The levels of a picture, smallest first. */
export function levelsOf(width: number, height: number): Level[] {
  const top = Math.ceil(Math.log2(Math.max(width, height)))
  return Array.from({ length: top + 1 }, (_, level) => {
    const factor = 2 ** (top - level)
    return { level, width: Math.ceil(width / factor), height: Math.ceil(height / factor) }
  })
}

/** The tiles of a level, row by row. */
export function* tilesOf({ width, height }: Level): Generator<Tile> {
  for (let row = 0; row * tileSize < height; row++) {
    for (let column = 0; column * tileSize < width; column++) {
      const left = Math.max(0, column * tileSize - overlap)
      const top = Math.max(0, row * tileSize - overlap)
      yield {
        name: `${column}_${row}`,
        left,
        top,
        width: Math.min(width, (column + 1) * tileSize + overlap) - left,
        height: Math.min(height, (row + 1) * tileSize + overlap) - top,
      }
    }
  }
}

/** The file that other viewers (OpenSeadragon, say) open. */
export function dziFile(width: number, height: number): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" ' +
    `Format="jpg" Overlap="${overlap}" TileSize="${tileSize}">\n` +
    `  <Size Width="${width}" Height="${height}"/>\n</Image>\n`
  )
}
