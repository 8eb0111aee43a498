import { colours, corpusOf, oneColour, type CorpusFile } from './expected.ts';
import { picture, plain, QUARTERS, quarters, SIZE } from './pictures.ts';
import { rgbPage, tiff, TIFF, tiledPage, type TiffField } from './tiff.ts';

export async function tiffFiles(): Promise<CorpusFile[]> {
  const good = await picture().tiff({ compression: 'lzw' }).toBuffer();
  const seen = colours(QUARTERS);
  const data = quarters();
  const make = (width: number, height: number, more: readonly TiffField[] = []): Buffer =>
    tiff([rgbPage(width, height, more)], { data });
  const long = (tag: number, ...values: number[]): TiffField => ({ tag, type: 'long', values });
  const lie = (tag: number, count: number): TiffField => ({
    tag,
    type: 'long',
    values: { count, offset: 8 },
  });
  const broken = 'corrupt|truncated';
  return corpusOf('tiff', {
    good: [good, seen],
    'put together by hand': [make(SIZE, SIZE), seen],
    tiled: [
      await picture().tiff({ tile: true, tileWidth: 16, tileHeight: 16, compression: 'deflate' }).toBuffer(),
      seen,
    ],
    'big-endian, in name only': [Buffer.concat([Buffer.from('MM\0*'), good.subarray(4)]), broken],
    '16 bits and alpha': [
      await plain(64, 64, [200, 50, 20, 255])
        .toColourspace('rgb16')
        .tiff({ compression: 'deflate' })
        .toBuffer(),
      oneColour(200, 50, 20),
    ],
    CMYK: [
      await plain(64, 64).toColourspace('cmyk').tiff({ compression: 'deflate' }).toBuffer(),
      oneColour(220, 21, 0),
    ],
    'one pixel': [await plain(1, 1).tiff().toBuffer(), oneColour(200, 50, 20)],
    '1 x 65,536': [
      await plain(1, 65_536).tiff({ compression: 'deflate' }).toBuffer(),
      oneColour(200, 50, 20),
    ],
    '65,536 x 1': [
      await plain(65_536, 1).tiff({ compression: 'deflate' }).toBuffer(),
      oneColour(200, 50, 20),
    ],
    '36 megapixels of 16 bits and alpha': [
      await plain(6_000, 6_000, [200, 50, 20, 255])
        .toColourspace('rgb16')
        .tiff({ compression: 'deflate' })
        .toBuffer(),
      oneColour(200, 50, 20),
    ],
    '65,536 a side in its header': [make(65_536, 65_536), 'too_many_pixels'],
    'two billion a side': [make(0x7fffffff, 0x7fffffff), 'too_many_pixels|corrupt'],
    'four billion a side': [make(0xffffffff, 0xffffffff), 'too_many_pixels|corrupt'],
    '98 megapixels in its header, in one strip': [make(9_900, 9_900), broken],
    'a hundred million strips': [make(1, 100_000_000, [long(TIFF.rowsPerStrip, 1)]), `${broken}|pixels`],
    'four billion strips, said to be': [
      make(SIZE, SIZE, [lie(TIFF.stripOffsets, 0xffffffff)]),
      `${broken}|pixels`,
    ],
    'strip lengths without end': [make(SIZE, SIZE, [lie(TIFF.stripBytes, 0x10000000)]), `${broken}|pixels`],
    'a strip behind the file': [make(SIZE, SIZE, [long(TIFF.stripOffsets, 0xfffffff0)]), broken],
    'tiles of 16 pixels on 98 megapixels': [tiff([tiledPage(9_904, 16)], { data }), broken],
    'a tile of 16,384 a side': [tiff([tiledPage(SIZE, 16_384)], { data }), `${broken}|pixels`],
    'a tile of two billion a side': [tiff([tiledPage(SIZE, 0x7ffffff0)], { data }), broken],
    'no rows in a strip': [make(SIZE, SIZE, [long(TIFF.rowsPerStrip, 0)]), `${broken}|pixels`],
    '65,535 bands': [make(SIZE, SIZE, [{ tag: TIFF.bands, type: 'short', values: [65_535] }]), broken],
    'bits that there are not': [
      make(SIZE, SIZE, [{ tag: TIFF.bits, type: 'short', values: [7, 9, 65_535] }]),
      broken,
    ],
    'a compression that there is not': [
      make(SIZE, SIZE, [{ tag: TIFF.compression, type: 'short', values: [60_000] }]),
      broken,
    ],
    'JPEG said to be inside': [
      make(SIZE, SIZE, [{ tag: TIFF.compression, type: 'short', values: [7] }]),
      broken,
    ],
    'deflate said to be inside': [
      make(SIZE, SIZE, [{ tag: TIFF.compression, type: 'short', values: [8] }]),
      broken,
    ],
    'planes apart, only one there': [
      make(SIZE, SIZE, [{ tag: TIFF.planar, type: 'short', values: [2] }]),
      `${broken}|pixels`,
    ],
    'a profile of a gigabyte': [
      make(SIZE, SIZE, [{ tag: 34_675, type: 'undefined', values: { count: 1 << 30, offset: 8 } }]),
      `${broken}|pixels`,
    ],
    'twenty thousand pages': [
      tiff(
        Array.from({ length: 20_000 }, () => rgbPage(4, 4)),
        { data },
      ),
      'pixels|corrupt',
    ],
    'a page that comes after itself': [
      tiff([rgbPage(SIZE, SIZE)], { data, next: 8 + data.length }),
      'pixels|corrupt',
    ],
    'directories inside of itself': [
      make(SIZE, SIZE, [long(TIFF.subDirectories, 8 + data.length)]),
      'pixels|corrupt',
    ],
    'no directory': [Buffer.from('II*\0\0\0\0\0', 'latin1'), broken],
    'a directory behind the file': [Buffer.from('II*\0\xff\xff\xff\x7f', 'latin1'), 'truncated'],
    'a directory of 65,535 fields': [
      Buffer.concat([Buffer.from('II*\0\x08\0\0\0\xff\xff', 'latin1'), Buffer.alloc(1_000, 1)]),
      broken,
    ],
    'BigTIFF of garbage': [
      Buffer.concat([Buffer.from('II+\0\x08\0\0\0', 'latin1'), Buffer.alloc(400, 0xff)]),
      broken,
    ],
    'cut in its middle': [good.subarray(0, good.length / 2), broken],
  });
}
