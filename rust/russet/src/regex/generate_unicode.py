#!/usr/bin/env python3
"""Write `unicode_data.rs`: the Unicode properties and case foldings that the reference's regular expressions use.

Everything is measured on the `tokenizers` package itself, so that a class here contains exactly the code points that it
contains there, whatever version of Unicode that is. A property is measured by matching it over all 1,112,064 scalar
values; the foldings by matching each cased character, case-insensitively, over all cased characters.

    python generate_unicode.py unicode_data.rs      # needs tokenizers==0.23.3, takes some minutes
"""

import multiprocessing
import sys

import tokenizers
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

VERSION = "0.23.3"

# The names that may follow `\p{`, as they are compared: lower case, without spaces, hyphens and underscores. Names that
# the reference refuses are left out.
NAMES = ["adlam", "adlm", "aghb", "ahex", "ahom", "alnum", "alpha", "alphabetic", "anatolianhieroglyphs", "any", "arab", "arabic", "armenian", "armi", "armn", "ascii", "asciihexdigit", "assigned", "avestan", "avst", "bali", "balinese", "bamu", "bamum", "bass", "bassavah", "batak", "batk", "beng", "bengali", "bhaiksuki", "bhks", "bidic", "bidicontrol", "blank", "bopo", "bopomofo", "brah", "brahmi", "brai", "braille", "bugi", "buginese", "buhd", "buhid", "c", "cakm", "canadianaboriginal", "cans", "cari", "carian", "cased", "casedletter", "caseignorable", "caucasianalbanian", "cc", "cf", "chakma", "cham", "changeswhencasefolded", "changeswhencasemapped", "changeswhenlowercased", "changeswhentitlecased", "changeswhenuppercased", "cher", "cherokee", "chorasmian", "chrs", "ci", "closepunctuation", "cn", "cntrl", "co", "combiningmark", "common", "connectorpunctuation", "control", "copt", "coptic", "cpmn", "cprt", "cs", "cuneiform", "currencysymbol", "cwcf", "cwcm", "cwl", "cwt", "cwu", "cypriot", "cyprominoan", "cyrillic", "cyrl", "dash", "dashpunctuation", "decimalnumber", "defaultignorablecodepoint", "dep", "deprecated", "deseret", "deva", "devanagari", "di", "dia", "diacritic", "diak", "digit", "divesakuru", "dogr", "dogra", "dsrt", "dupl", "duployan", "ebase", "ecomp", "egyp", "egyptianhieroglyphs", "elba", "elbasan", "elym", "elymaic", "emod", "emoji", "emojicomponent", "emojimodifier", "emojimodifierbase", "emojipresentation", "enclosingmark", "epres", "ethi", "ethiopic", "ext", "extendedpictographic", "extender", "extpict", "finalpunctuation", "format", "gara", "garay", "geor", "georgian", "glag", "glagolitic", "gong", "gonm", "goth", "gothic", "gran", "grantha", "graph", "graphemebase", "graphemeextend", "graphemelink", "grbase", "greek", "grek", "grext", "grlink", "gujarati", "gujr", "gukh", "gunjalagondi", "gurmukhi", "guru", "gurungkhema", "han", "hang", "hangul", "hani", "hanifirohingya", "hano", "hanunoo", "hatr", "hatran", "hebr", "hebrew", "hex", "hexdigit", "hira", "hiragana", "hluw", "hmng", "hmnp", "hung", "hyphen", "idc", "idcompatmathcontinue", "idcompatmathstart", "idcontinue", "ideo", "ideographic", "ids", "idsb", "idsbinaryoperator", "idst", "idstart", "idstrinaryoperator", "idsu", "idsunaryoperator", "imperialaramaic", "inadlam", "inaegeannumbers", "inahom", "inalchemicalsymbols", "inalphabeticpresentationforms", "inanatolianhieroglyphs", "inancientgreekmusicalnotation", "inancientgreeknumbers", "inancientsymbols", "inarabic", "inarabicextendeda", "inarabicextendedb", "inarabicextendedc", "inarabicmathematicalalphabeticsymbols", "inarabicpresentationformsa", "inarabicpresentationformsb", "inarabicsupplement", "inarmenian", "inarrows", "inavestan", "inbalinese", "inbamum", "inbamumsupplement", "inbasiclatin", "inbassavah", "inbatak", "inbengali", "inbhaiksuki", "inblockelements", "inbopomofo", "inbopomofoextended", "inboxdrawing", "inbrahmi", "inbraillepatterns", "inbuginese", "inbuhid", "inbyzantinemusicalsymbols", "incarian", "incaucasianalbanian", "incb", "inchakma", "incham", "incherokee", "incherokeesupplement", "inchesssymbols", "inchorasmian", "incjkcompatibility", "incjkcompatibilityforms", "incjkcompatibilityideographs", "incjkcompatibilityideographssupplement", "incjkradicalssupplement", "incjkstrokes", "incjksymbolsandpunctuation", "incjkunifiedideographs", "incjkunifiedideographsextensiona", "incjkunifiedideographsextensionb", "incjkunifiedideographsextensionc", "incjkunifiedideographsextensiond", "incjkunifiedideographsextensione", "incjkunifiedideographsextensionf", "incjkunifiedideographsextensiong", "incjkunifiedideographsextensionh", "incjkunifiedideographsextensioni", "incombiningdiacriticalmarks", "incombiningdiacriticalmarksextended", "incombiningdiacriticalmarksforsymbols", "incombiningdiacriticalmarkssupplement", "incombininghalfmarks", "incommonindicnumberforms", "incontrolpictures", "incoptic", "incopticepactnumbers", "incountingrodnumerals", "incuneiform", "incuneiformnumbersandpunctuation", "incurrencysymbols", "incypriotsyllabary", "incyprominoan", "incyrillic", "incyrillicextendeda", "incyrillicextendedb", "incyrillicextendedc", "incyrillicextendedd", "incyrillicsupplement", "indeseret", "indevanagari", "indevanagariextended", "indevanagariextendeda", "indingbats", "indivesakuru", "indogra", "indominotiles", "induployan", "inearlydynasticcuneiform", "inegyptianhieroglyphformatcontrols", "inegyptianhieroglyphs", "inegyptianhieroglyphsextendeda", "inelbasan", "inelymaic", "inemoticons", "inenclosedalphanumerics", "inenclosedalphanumericsupplement", "inenclosedcjklettersandmonths", "inenclosedideographicsupplement", "inethiopic", "inethiopicextended", "inethiopicextendeda", "inethiopicextendedb", "inethiopicsupplement", "ingaray", "ingeneralpunctuation", "ingeometricshapes", "ingeometricshapesextended", "ingeorgian", "ingeorgianextended", "ingeorgiansupplement", "inglagolitic", "inglagoliticsupplement", "ingothic", "ingrantha", "ingreekandcoptic", "ingreekextended", "ingujarati", "ingunjalagondi", "ingurmukhi", "ingurungkhema", "inhalfwidthandfullwidthforms", "inhangulcompatibilityjamo", "inhanguljamo", "inhanguljamoextendeda", "inhanguljamoextendedb", "inhangulsyllables", "inhanifirohingya", "inhanunoo", "inhatran", "inhebrew", "inherited", "inhighprivateusesurrogates", "inhighsurrogates", "inhiragana", "inideographicdescriptioncharacters", "inideographicsymbolsandpunctuation", "inimperialaramaic", "inindicsiyaqnumbers", "ininscriptionalpahlavi", "ininscriptionalparthian", "inipaextensions", "initialpunctuation", "injavanese", "inkaithi", "inkaktoviknumerals", "inkanaextendeda", "inkanaextendedb", "inkanasupplement", "inkanbun", "inkangxiradicals", "inkannada", "inkatakana", "inkatakanaphoneticextensions", "inkawi", "inkayahli", "inkharoshthi", "inkhitansmallscript", "inkhmer", "inkhmersymbols", "inkhojki", "inkhudawadi", "inkiratrai", "inlao", "inlatin1supplement", "inlatinextendeda", "inlatinextendedadditional", "inlatinextendedb", "inlatinextendedc", "inlatinextendedd", "inlatinextendede", "inlatinextendedf", "inlatinextendedg", "inlepcha", "inletterlikesymbols", "inlimbu", "inlineara", "inlinearbideograms", "inlinearbsyllabary", "inlisu", "inlisusupplement", "inlowsurrogates", "inlycian", "inlydian", "inmahajani", "inmahjongtiles", "inmakasar", "inmalayalam", "inmandaic", "inmanichaean", "inmarchen", "inmasaramgondi", "inmathematicalalphanumericsymbols", "inmathematicaloperators", "inmayannumerals", "inmedefaidrin", "inmeeteimayek", "inmeeteimayekextensions", "inmendekikakui", "inmeroiticcursive", "inmeroitichieroglyphs", "inmiao", "inmiscellaneousmathematicalsymbolsa", "inmiscellaneousmathematicalsymbolsb", "inmiscellaneoussymbols", "inmiscellaneoussymbolsandarrows", "inmiscellaneoussymbolsandpictographs", "inmiscellaneoustechnical", "inmodi", "inmodifiertoneletters", "inmongolian", "inmongoliansupplement", "inmro", "inmultani", "inmusicalsymbols", "inmyanmar", "inmyanmarextendeda", "inmyanmarextendedb", "inmyanmarextendedc", "innabataean", "innagmundari", "innandinagari", "innewa", "innewtailue", "innko", "innoblock", "innumberforms", "innushu", "innyiakengpuachuehmong", "inogham", "inolchiki", "inoldhungarian", "inolditalic", "inoldnortharabian", "inoldpermic", "inoldpersian", "inoldsogdian", "inoldsoutharabian", "inoldturkic", "inolduyghur", "inolonal", "inopticalcharacterrecognition", "inoriya", "inornamentaldingbats", "inosage", "inosmanya", "inottomansiyaqnumbers", "inpahawhhmong", "inpalmyrene", "inpaucinhau", "inphagspa", "inphaistosdisc", "inphoenician", "inphoneticextensions", "inphoneticextensionssupplement", "inplayingcards", "inprivateusearea", "inpsalterpahlavi", "inrejang", "inruminumeralsymbols", "inrunic", "insamaritan", "insaurashtra", "inscriptionalpahlavi", "inscriptionalparthian", "insharada", "inshavian", "inshorthandformatcontrols", "insiddham", "insinhala", "insinhalaarchaicnumbers", "insmallformvariants", "insmallkanaextension", "insogdian", "insorasompeng", "insoyombo", "inspacingmodifierletters", "inspecials", "insundanese", "insundanesesupplement", "insunuwar", "insuperscriptsandsubscripts", "insupplementalarrowsa", "insupplementalarrowsb", "insupplementalarrowsc", "insupplementalmathematicaloperators", "insupplementalpunctuation", "insupplementalsymbolsandpictographs", "insupplementaryprivateuseareaa", "insupplementaryprivateuseareab", "insuttonsignwriting", "insylotinagri", "insymbolsandpictographsextendeda", "insymbolsforlegacycomputing", "insymbolsforlegacycomputingsupplement", "insyriac", "insyriacsupplement", "intagalog", "intagbanwa", "intags", "intaile", "intaitham", "intaiviet", "intaixuanjingsymbols", "intakri", "intamil", "intamilsupplement", "intangsa", "intangut", "intangutcomponents", "intangutsupplement", "intelugu", "inthaana", "inthai", "intibetan", "intifinagh", "intirhuta", "intodhri", "intoto", "intransportandmapsymbols", "intulutigalari", "inugaritic", "inunifiedcanadianaboriginalsyllabics", "inunifiedcanadianaboriginalsyllabicsextended", "inunifiedcanadianaboriginalsyllabicsextendeda", "invai", "invariationselectors", "invariationselectorssupplement", "invedicextensions", "inverticalforms", "invithkuqi", "inwancho", "inwarangciti", "inyezidi", "inyijinghexagramsymbols", "inyiradicals", "inyisyllables", "inzanabazarsquare", "inznamennymusicalnotation", "ital", "java", "javanese", "joinc", "joincontrol", "kaithi", "kali", "kana", "kannada", "katakana", "kawi", "kayahli", "khar", "kharoshthi", "khitansmallscript", "khmer", "khmr", "khoj", "khojki", "khudawadi", "kiratrai", "kits", "knda", "krai", "kthi", "l", "lana", "lao", "laoo", "latin", "latn", "lc", "lepc", "lepcha", "letter", "letternumber", "limb", "limbu", "lina", "linb", "lineara", "linearb", "lineseparator", "lisu", "ll", "lm", "lo", "loe", "logicalorderexception", "lower", "lowercase", "lowercaseletter", "lt", "lu", "lyci", "lycian", "lydi", "lydian", "m", "mahajani", "mahj", "maka", "makasar", "malayalam", "mand", "mandaic", "mani", "manichaean", "marc", "marchen", "mark", "masaramgondi", "math", "mathsymbol", "mc", "mcm", "me", "medefaidrin", "medf", "meeteimayek", "mend", "mendekikakui", "merc", "mero", "meroiticcursive", "meroitichieroglyphs", "miao", "mlym", "mn", "modi", "modifiercombiningmark", "modifierletter", "modifiersymbol", "mong", "mongolian", "mro", "mroo", "mtei", "mult", "multani", "myanmar", "mymr", "n", "nabataean", "nagm", "nagmundari", "nand", "nandinagari", "narb", "nbat", "nchar", "nd", "newa", "newline", "newtailue", "nko", "nkoo", "nl", "no", "noncharactercodepoint", "nonspacingmark", "nshu", "number", "nushu", "nyiakengpuachuehmong", "oalpha", "odi", "ogam", "ogham", "ogrext", "oidc", "oids", "olchiki", "olck", "oldhungarian", "olditalic", "oldnortharabian", "oldpermic", "oldpersian", "oldsogdian", "oldsoutharabian", "oldturkic", "olduyghur", "olonal", "olower", "omath", "onao", "openpunctuation", "oriya", "orkh", "orya", "osage", "osge", "osma", "osmanya", "other", "otheralphabetic", "otherdefaultignorablecodepoint", "othergraphemeextend", "otheridcontinue", "otheridstart", "otherletter", "otherlowercase", "othermath", "othernumber", "otherpunctuation", "othersymbol", "otheruppercase", "ougr", "oupper", "p", "pahawhhmong", "palm", "palmyrene", "paragraphseparator", "patsyn", "patternsyntax", "patternwhitespace", "patws", "pauc", "paucinhau", "pc", "pcm", "pd", "pe", "perm", "pf", "phag", "phagspa", "phli", "phlp", "phnx", "phoenician", "pi", "plrd", "po", "posixpunct", "prependedconcatenationmark", "print", "privateuse", "prti", "ps", "psalterpahlavi", "punct", "punctuation", "qaac", "qaai", "qmark", "quotationmark", "radical", "regionalindicator", "rejang", "ri", "rjng", "rohg", "runic", "runr", "s", "samaritan", "samr", "sarb", "saur", "saurashtra", "sc", "sd", "sentenceterminal", "separator", "sgnw", "sharada", "shavian", "shaw", "shrd", "sidd", "siddham", "signwriting", "sind", "sinh", "sinhala", "sk", "sm", "so", "softdotted", "sogd", "sogdian", "sogo", "sora", "sorasompeng", "soyo", "soyombo", "space", "spaceseparator", "spacingmark", "sterm", "sund", "sundanese", "sunu", "sunuwar", "surrogate", "sylo", "sylotinagri", "symbol", "syrc", "syriac", "tagalog", "tagb", "tagbanwa", "taile", "taitham", "taiviet", "takr", "takri", "tale", "talu", "tamil", "taml", "tang", "tangsa", "tangut", "tavt", "telu", "telugu", "term", "terminalpunctuation", "tfng", "tglg", "thaa", "thaana", "thai", "tibetan", "tibt", "tifinagh", "tirh", "tirhuta", "titlecaseletter", "tnsa", "todhri", "todr", "toto", "tulutigalari", "tutg", "ugar", "ugaritic", "uideo", "unassigned", "unifiedideograph", "unknown", "upper", "uppercase", "uppercaseletter", "vai", "vaii", "variationselector", "vith", "vithkuqi", "vs", "wancho", "wara", "warangciti", "wcho", "whitespace", "word", "wspace", "xdigit", "xidc", "xidcontinue", "xids", "xidstart", "xpeo", "xsux", "yezi", "yezidi", "yi", "yiii", "z", "zanabazarsquare", "zanb", "zinh", "zl", "zp", "zs", "zyyy", "zzzz"]

# Outside of a class `\w` has some more members than in one.
WORD_TYPE = "\\w"

CATEGORIES = ["lu", "ll", "lt", "lm", "lo", "mn", "mc", "me", "nd", "nl", "no", "pc", "pd", "ps", "pe", "pi", "pf", "po", "sm", "sc", "sk", "so", "zs", "zl", "zp", "cc", "cf", "co", "cn", "cs"]

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, SCALARS))


def removed(pattern, text):
    """The spans of `text`, in characters, that `pattern` does not match."""
    return [span for _, span in Split(Regex(pattern), "removed").pre_tokenize_str(text)]


def ranges_of(pattern):
    """The code points that `pattern` matches, as a tuple of inclusive ranges."""
    ranges, position = [], 0
    for start, end in [*removed(f"(?:{pattern})+", TEXT), (len(TEXT), len(TEXT))]:
        if position < start:
            first, last = SCALARS[position], SCALARS[start - 1]
            # The surrogates are in no text: a range that ends before them and one that starts after them are one.
            ranges.append((first, last))
        position = end
    return tuple(ranges)


def measure(name):
    """`name` and its ranges, or None if the reference does not know it."""
    pattern = WORD_TYPE if name == WORD_TYPE else "[\\p{%s}]" % name
    try:
        Regex(pattern)
    except Exception:
        return name, None
    return name, ranges_of(pattern)


def encode(ranges):
    """Ranges as hexadecimal numbers: gap to the previous range, length less one."""
    numbers, position = [], 0
    for first, last in ranges:
        numbers += ["%x" % (first - position), "%x" % (last - first)]
        position = last + 1
    return " ".join(numbers)


def foldings(cased):
    """Classes of single characters that match each other, and characters that match a sequence of two or three."""
    # Line feeds between the characters, lest two of them be matched as a sequence.
    text = "\n".join(cased)
    classes, sequences, class_of = [], {}, {}
    for char in cased:
        pattern = "(?i:\\x{%x})" % ord(char)
        left = set()
        for start, end in removed(pattern, text):
            left.update(text[start:end])
        equal = sorted(set(cased) - left)
        assert char in equal and class_of.setdefault(char, equal) == equal, char
        if len(equal) > 1 and char == equal[0]:
            classes.append(equal)
            class_of.update((other, equal) for other in equal)
        fold = char.casefold()
        if len(fold) > 1 and not removed("\\A%s\\z" % pattern, fold):
            sequences.setdefault(fold, []).append(char)
    return classes, sequences


def rust_string(text, width=124):
    """`text` (without quotes and backslashes) as a Rust literal of several lines."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return '"' + " \\\n    ".join(lines) + '"'


def main(path):
    """Measure everything and write the file."""
    assert tokenizers.__version__ == VERSION, f"needs tokenizers=={VERSION}"
    with multiprocessing.Pool(2) as pool:
        measured = dict(pool.imap_unordered(measure, [WORD_TYPE, *NAMES], chunksize=8))
    tables, index, names = [], {}, []
    for name in sorted(measured):
        if measured[name] is None:
            continue
        if measured[name] not in index:
            index[measured[name]] = len(tables)
            tables.append(measured[name])
        names.append((name, index[measured[name]]))
    by_name = dict(names)
    names.remove((WORD_TYPE, by_name[WORD_TYPE]))
    cased = set()
    for name in ("changeswhencasemapped", "changeswhencasefolded", "cased", "lt"):
        for first, last in measured[name]:
            cased.update(map(chr, range(first, last + 1)))
    classes, sequences = foldings(sorted(cased))
    out = [
        "// Written by generate_unicode.py from what tokenizers %s matches; do not edit." % VERSION,
        "",
        "/// For each property its ranges of code points: pairs of hexadecimal numbers, the gap to the range before and the",
        "/// length less one.",
        "#[rustfmt::skip]",
        "pub(super) static PROPERTIES: [&str; %d] = [" % len(tables),
    ]
    out += ["    %s," % rust_string(encode(table)) for table in tables]
    out += [
        "];",
        "",
        "/// The names of properties, sorted, with the index of their ranges.",
        "#[rustfmt::skip]",
        "pub(super) static NAMES: [(&str, u16); %d] = [" % len(names),
    ]
    line = "   "
    for name, number in names:
        word = ' ("%s", %d),' % (name, number)
        if len(line) + len(word) > 130:
            out.append(line)
            line = "   "
        line += word
    out += [line, "];", ""]
    out += [
        "/// What `\\w` is outside of classes.",
        "pub(super) static WORD_TYPE: u16 = %d;" % by_name[WORD_TYPE],
        "",
        "/// The properties that are the general categories (which cover each code point once).",
        "#[rustfmt::skip]",
        "pub(super) static CATEGORIES: [u16; %d] = [%s];" % (len(CATEGORIES), ", ".join(str(by_name[name]) for name in CATEGORIES)),
        "",
        "/// Classes of characters that match each other when case is ignored: code points, classes separated by `;`.",
        "#[rustfmt::skip]",
        "pub(super) static FOLDS: &str = "
        + rust_string(" ; ".join(" ".join("%x" % ord(c) for c in equal) for equal in classes))
        + ";",
        "",
        "/// Characters that match a sequence when case is ignored: the folded sequence, `=`, the characters, `;`.",
        "#[rustfmt::skip]",
        "pub(super) static FOLD_SEQUENCES: &str = "
        + rust_string(
            " ; ".join(
                " ".join("%x" % ord(c) for c in fold) + " = " + " ".join("%x" % ord(c) for c in chars)
                for fold, chars in sorted(sequences.items())
            )
        )
        + ";",
    ]
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
