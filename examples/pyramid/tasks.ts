import { queueable } from 'ptq'
import sharp from 'sharp'
import type { Tile } from './levels.js'

// The threads of the queue share the cores already; and files that change between two runs must not be cached.
sharp.concurrency(1)
sharp.cache(false)

/** Scales a picture to one level of the pyramid. Uncompressed and tiled, so that any part of it is read at once. */
export const scaleLevel = queueable(async function scaleLevel(
  picture: string,
  levelFile: string,
  width: number,
  height: number,
) {
  await sharp(picture, { limitInputPixels: false })
    .autoOrient()
    .flatten({ background: 'white' })
    .resize(width, height, { fit: 'fill' })
    .tiff({ compression: 'none', tile: true, bigtiff: true })
    .toFile(levelFile)
})

/** Cuts one tile out of a level. A second run writes the same file again. */
export const cutTile = queueable(async function cutTile(levelFile: string, tileFile: string, tile: Tile) {
  const { left, top, width, height } = tile
  await sharp(levelFile, { limitInputPixels: false })
    .extract({ left, top, width, height })
    .jpeg({ quality: 85 })
    .toFile(tileFile)
})
