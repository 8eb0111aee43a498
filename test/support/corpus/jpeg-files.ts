import { colours, corpusOf, oneColour, type CorpusFile } from './expected.ts';
import {
  exifSegment,
  jpegSegment,
  withEmptyScans,
  withJpegSize,
  withoutSegments,
  withRepeatedScan,
  withSegments,
} from './jpeg.ts';
import { picture, plain, QUARTERS } from './pictures.ts';

const [A, B, C, D] = QUARTERS;
/** What the quarters become by EXIF orientation 1 to 8. */
const TURNED = [
  [A, B, C, D],
  [B, A, D, C],
  [D, C, B, A],
  [C, D, A, B],
  [A, C, B, D],
  [C, A, D, B],
  [D, B, C, A],
  [B, D, A, C],
] as const;

const ADOBE = 0xee;

export async function jpegFiles(): Promise<CorpusFile[]> {
  const good = await picture().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
  const progressive = await picture().jpeg({ quality: 95, progressive: true }).toBuffer();
  const large = await plain(6_000, 6_000).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer();
  const cmyk = await plain(64, 64).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
  const profiled = await plain(64, 64)
    .toColourspace('cmyk')
    .withIccProfile('cmyk')
    .jpeg({ quality: 100 })
    .toBuffer();
  const straight = await plain(6_000, 6_000).toColourspace('cmyk').jpeg().toBuffer();
  const adobe = jpegSegment(ADOBE, 'Adobe\0\x64\0\0\0\0\0');
  const icc = (data: Uint8Array | string): Buffer =>
    jpegSegment(0xe2, Buffer.concat([Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), Buffer.from(data)]));
  const seen = colours(QUARTERS);
  const ink = oneColour(220, 21, 0);
  return corpusOf('jpeg', {
    good: [good, seen],
    ...Object.fromEntries(
      TURNED.map((turned, i) => [
        `orientation ${i + 1}`,
        [withSegments(good, [exifSegment(i + 1)]), colours(turned)],
      ]),
    ),
    'orientation 9, which there is not': [withSegments(good, [exifSegment(9)]), seen],
    'a thumbnail of another picture': [
      withSegments(good, [exifSegment(1, await plain(16, 16, [0, 0, 0]).jpeg().toBuffer())]),
      seen,
    ],
    'a thumbnail that is garbage': [
      withSegments(good, [exifSegment(6, Buffer.alloc(5_000, 0xff))]),
      colours(TURNED[5]),
    ],
    'EXIF that is garbage': [
      withSegments(good, [jpegSegment(0xe1, `Exif\0\0II*\0${'\xff'.repeat(500)}`)]),
      seen,
    ],
    'XMP, Photoshop and comment segments of garbage': [
      withSegments(good, [
        jpegSegment(0xe1, `http://ns.adobe.com/xap/1.0/\0${'<'.repeat(60_000)}`),
        jpegSegment(0xed, `Photoshop 3.0\x008BIM${'\xff'.repeat(60_000)}`),
        jpegSegment(0xfe, '\0'.repeat(65_000)),
      ]),
      seen,
    ],
    'two thousand comments': [
      withSegments(
        good,
        Array.from({ length: 2_000 }, () => jpegSegment(0xfe, 'x')),
      ),
      seen,
    ],
    'a broken colour profile': [withSegments(good, [icc('garbage')]), seen],
    'a colour profile of other colours': [withSegments(good, [icc(Buffer.alloc(3_000, 7))]), seen],
    'a gain map announced and not there': [
      withSegments(good, [
        jpegSegment(
          0xe1,
          'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></r:RDF></x:xmpmeta>',
        ),
        jpegSegment(0xe2, 'MPF\0MM\0*\0\0\0\x08\0\0'),
      ]),
      seen,
    ],
    progressive: [progressive, seen],
    'garbage behind its end': [Buffer.concat([good, Buffer.alloc(100_000, 0xd8)]), seen],
    'a page behind its end': [
      Buffer.concat([good, Buffer.from('<html><script>alert(1)</script></html>')]),
      seen,
    ],
    'an SVG in a comment': [
      withSegments(good, [jpegSegment(0xfe, '<svg xmlns="http://www.w3.org/2000/svg"/>')]),
      seen,
    ],
    'a head and then a page': [
      Buffer.concat([good.subarray(0, 20), Buffer.from('<html><body>hello</body></html>')]),
      'corrupt|truncated',
    ],
    CMYK: [cmyk, ink],
    'CMYK with a profile': [profiled, oneColour(216, 26, 17)],
    'CMYK with a broken profile': [withSegments(cmyk, [icc('garbage')]), ink],
    'CMYK without the word of Adobe': [withoutSegments(cmyk, ADOBE), ink],
    'CMYK with the word of Adobe, said again': [
      withSegments(withoutSegments(cmyk, ADOBE), [adobe, adobe]),
      ink,
    ],
    'CMYK said to be YCCK': [
      withSegments(withoutSegments(cmyk, ADOBE), [jpegSegment(ADOBE, 'Adobe\0\x64\0\0\0\0\x02')]),
      'pixels',
    ],
    grey: [
      await plain(64, 64, [90, 90, 90]).toColourspace('b-w').jpeg({ quality: 95 }).toBuffer(),
      oneColour(90, 90, 90),
    ],
    'one pixel': [await plain(1, 1).jpeg({ quality: 95 }).toBuffer(), oneColour(200, 50, 20)],
    '1 x 65,500': [await plain(1, 65_500).jpeg({ quality: 95 }).toBuffer(), oneColour(200, 50, 20)],
    '65,500 x 1': [await plain(65_500, 1).jpeg({ quality: 95 }).toBuffer(), oneColour(200, 50, 20)],
    '65,500 a side in its header': [withJpegSize(good, 65_500, 65_500), 'too_many_pixels'],
    '65,535 a side in its header, more than there can be': [
      withJpegSize(good, 65_535, 65_535),
      'corrupt|too_many_pixels',
    ],
    'a header of 98 megapixels and data of few': [withJpegSize(good, 9_900, 9_900), 'pixels'],
    'a progressive header of 98 megapixels and data of few': [
      withJpegSize(progressive, 9_900, 9_900),
      'pixels',
    ],
    'no height': [withJpegSize(good, 64, 0), 'corrupt'],
    'no width': [withJpegSize(good, 0, 64), 'corrupt'],
    '36 progressive megapixels': [large, oneColour(200, 50, 20)],
    '36 progressive megapixels, one scan fifty times': [withRepeatedScan(large, 50), 'corrupt'],
    '98 megapixels and two hundred scans that say nothing': [
      withEmptyScans(withJpegSize(progressive, 9_900, 9_900), 189),
      'corrupt',
    ],
    'a scan ten thousand times': [withRepeatedScan(progressive, 10_000), 'corrupt'],
    '36 megapixels of CMYK': [straight, ink],
    'cut in its middle': [good.subarray(0, good.length / 2), 'truncated'],
    'its first three bytes': [good.subarray(0, 3), 'truncated'],
    'its beginning and end': [Buffer.concat([good.subarray(0, 2), good.subarray(-2)]), 'corrupt'],
    'a segment longer than the file': [
      withSegments(good.subarray(0, 200), [Buffer.from([0xff, 0xe5, 0xff, 0xff])]),
      'truncated',
    ],
    'a segment of no length': [withSegments(good, [Buffer.from([0xff, 0xe5, 0, 0])]), 'corrupt|pixels'],
    'a million fill bytes': [
      Buffer.concat([good.subarray(0, 2), Buffer.alloc(1_000_000, 0xff), good.subarray(2)]),
      seen,
    ],
  });
}
