"""What transformers 5.23 has in its classes and no file says: which class is whose, its inputs, its special tokens.

The class decides nothing about ids where a tokenizer.json is there. It decides which keys a call returns, which tokens have
which name where the files name none, and how a folder without a tokenizer.json is read. ``tests/differential/
test_pretrained_classes.py`` holds the tables equal to transformers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from russet.pretrained.special_tokens import NAMES

#: The class that each ``model_type`` of a config.json is registered with, without ``Tokenizer`` at the end.
_MODEL_TYPES = {
    "Albert": "albert yoso",
    "Bart": "florence2",
    "Barthez": "barthez",
    "Bartpho": "bartpho",
    "Bert": (
        "align bark bert blip bros chinese_clip convbert distilbert electra ernie flava git grounding-dino layoutlm "
        "megatron-bert mm-grounding-dino nezha nomic_bert qdqbert realm retribert squeezebert tvp vilt visual_bert "
    ),
    "BertGeneration": "bert-generation",
    "BertJapanese": "bert-japanese",
    "Bertweet": "bertweet",
    "BigBird": "big_bird",
    "BioGpt": "biogpt",
    "Blenderbot": "blenderbot",
    "BlenderbotSmall": "blenderbot-small",
    "ByT5": "byt5",
    "CLIP": "aimv2 clip clipseg groupvit omdet-turbo oneformer owlv2 owlvit sam3 sam3_video xclip",
    "CTRL": "ctrl",
    "Camembert": "camembert",
    "Canine": "canine",
    "Clvp": "clvp",
    "CodeLlama": "code_llama",
    "Cohere": "aya_vision cohere cohere2",
    "Cpm": "cpm",
    "CpmAnt": "cpmant",
    "DPRQuestionEncoder": "dpr",
    "Deberta": "deberta",
    "DebertaV2": "deberta-v2",
    "Dia": "dia",
    "Esm": "esm",
    "Esmc": "esmc esmfold2",
    "FNet": "fnet",
    "FSMT": "fsmt",
    "Flaubert": "flaubert",
    "Funnel": "funnel",
    "GPT2": (
        "blip-2 codegen dbrx emu3 gpt2 gpt_neo gptj hyperclovax_vision_v2 instructblip instructblipvideo jais2 opt phi starcoder2 "
    ),
    "GPTNeoX": "falcon_mamba gpt_neox mamba mamba2 mpt olmo olmoe rwkv xlstm",
    "GPTNeoXJapanese": "gpt_neox_japanese",
    "GPTSw3": "gpt-sw3",
    "Gemma": ("diffusion_gemma gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma shieldgemma2 t5gemma zaya "),
    "Herbert": "herbert",
    "LED": "led",
    "Lasr": "lasr_ctc lasr_encoder",
    "LayoutLMv2": "layoutlmv2",
    "LayoutLMv3": "layoutlmv3",
    "LayoutXLM": "layoutxlm",
    "Llama": "idefics idefics2",
    "Luke": "luke",
    "Lxmert": "lxmert",
    "M2M100": "m2m_100",
    "MBart": "mbart",
    "MBart50": "mbart50",
    "MLuke": "mluke",
    "MPNet": "mpnet",
    "Marian": "marian",
    "MarkupLM": "markuplm",
    "Mgpstr": "mgp-str",
    "MobileBert": "mobilebert",
    "Mvp": "mvp",
    "MyT5": "myt5",
    "Nllb": "nllb nllb-moe",
    "Nougat": "nougat pp_formulanet",
    "OpenAIGPT": "openai-gpt",
    "PLBart": "plbart",
    "Parakeet": "granite_speech5_ctc nemotron3_5_asr nemotron_asr_streaming parakeet_ctc parakeet_rnnt parakeet_tdt",
    "Pegasus": "pegasus",
    "Perceiver": "perceiver",
    "Phobert": "phobert",
    "ProphetNet": "prophetnet",
    "Qwen2": (
        "audioflamingo3 colqwen2 cosmos3_omni dots3_note fun_asr_nano hunyuan_vl internvl lighton_ocr "
        "moss_transcribe_diarize ovis2 qianfan_ocr qwen2 qwen2_5_omni qwen2_5_vl qwen2_audio qwen2_moe qwen2_vl qwen3 "
        "qwen3_asr qwen3_moe qwen3_next qwen3_omni_moe qwen3_vl qwen3_vl_moe vibevoice "
    ),
    "Qwen3_5": "qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen4_exp",
    "Rag": "rag",
    "Reformer": "reformer",
    "RemBert": "rembert",
    "RoCBert": "roc_bert",
    "RoFormer": "roformer",
    "Roberta": "bart bridgetower clap data2vec-text ibert lilt longformer mega mra roberta roberta-prelayernorm",
    "SeamlessM4T": "seamless_m4t seamless_m4t_v2",
    "Siglip": "siglip",
    "Siglip2": "siglip2",
    "Speech2Text": "speech_to_text",
    "SpeechT5": "speecht5",
    "Splinter": "splinter",
    "T5": "mt5 musicgen musicgen_melody switch_transformers t5",
    "Tapas": "tapas",
    "Tipsv2": "tipsv2",
    "TokenizersBackend": (
        "EvollaModel arctic aria beam bigbird_pegasus camembertv2-base canary chatlm cohere_asr ernie4_5 ernie4_5_moe "
        "flex_olmo fuyu glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm_image glmasr got_ocr2 gpt_bigcode "
        "gradium_phonon_tts granite granitemoe granitemoehybrid granitemoeshared h2ovl_chat hyperclovax hyperclovax_vlm"
        " internlm2 internlm3 iquestcoder jamba kimi_k25 kimi_linear kosmos-2 llava llava_next mimo_v2_flash minicpm3 "
        "minicpm_ocr minicpmv minicpmv4_6 minicpmv4_7 minimax_m2 ministral ministral3 mistral mistral3 mistral_large4 "
        "mixtral modernbert modernbert-decoder molmo molmo2 nemo_speechlm nemotron nvfp4 nystromformer olmo2 olmo3 "
        "olmo_hybrid opencua openvla paddleocr_vl pegasus_x persimmon phi3 phi3_v phimoe pix2struct pixtral pocket_tts "
        "smolvlm stablelm step3_vl umt5 vipllava voxtral voxtral_realtime xlm-roberta-xl "
    ),
    "Udop": "udop",
    "VideoPrism": "videoprism",
    "Vits": "vits",
    "Wav2Vec2CTC": "data2vec-audio hubert unispeech unispeech-sat wav2vec2 wav2vec2-bert wav2vec2-conformer",
    "Wav2Vec2PhonemeCTC": "wav2vec2_phoneme",
    "Whisper": "whisper",
    "XGLM": "xglm",
    "XLM": "xlm",
    "XLMRoberta": "gte jina_embeddings_v3 metaclip_2 trocr xlm-roberta xmod",
    "XLNet": "xlnet",
}

#: Kinds of model whose published settings name a wrong class: the registered one is taken.
_WRONGLY_NAMED = (
    "arctic camembertv2-base chatlm cohere_asr ernie4_5 ernie4_5_moe fuyu h2ovl_chat hyperclovax "
    "hyperclovax_vision_v2 hyperclovax_vlm internlm2 internlm3 iquestcoder jamba llava llava_next minicpm3 minicpmv"
    " minimax_m2 modernbert modernbert-decoder molmo molmo2 nemotron nvfp4 opencua openvla paddleocr_vl phi3 phi3_v"
    " phimoe qwen2 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen4_exp siglip2 smolvlm step3_vl vipllava "
)

#: Kinds of model that are registered with a tokenizer and have no class of their own: it counts where a class is named beside them.
_WITHOUT_MODEL = (
    "barthez bartpho bert-japanese bertweet byt5 code_llama cpm gpt-sw3 herbert mbart50 mega mluke myt5 nezha nllb nougat phobert "
    "qdqbert realm retribert wav2vec2_phoneme"
)

#: Classes whose models have other inputs than ids and a mask.
_INPUTS = {
    "input_ids token_type_ids attention_mask": (
        "Bert ConvBert DPRContextEncoder DPRQuestionEncoder Lxmert MarkupLM MobileBert SqueezeBert"
    ),
    "input_ids attention_mask token_type_ids": "Canine Deberta DebertaV2 LayoutLMv2 Tapas",
    "input_ids token_type_ids": "FNet",
}

#: Special tokens in the order of ``NAMES``, and the classes that have them.
_TOKENS = (
    (
        "<s>",
        "</s>",
        "<unk>",
        "</s>",
        "<pad>",
        "<s>",
        "<mask>",
        "Bart Barthez Bartpho Bertweet Blenderbot Camembert LED LayoutLMv3 LayoutXLM Luke MBart MLuke MarkupLM Mvp Nllb"
        " PLBart Phobert Roberta XLMRoberta ",
    ),
    (
        None,
        None,
        "[UNK]",
        "[SEP]",
        "[PAD]",
        "[CLS]",
        "[MASK]",
        "Bert BertJapanese BertTokenizerLegacy ConvBert DPRContextEncoder DPRQuestionEncoder DPRReader DistilBert "
        "LayoutLMv2 Lxmert MobileBert RoCBert RoFormer Splinter SqueezeBert Tapas ",
    ),
    (None, "</s>", "<unk>", None, "<pad>", None, None, "ByT5 Lasr Marian MyT5 T5 VideoPrism "),
    ("<s>", "</s>", "<unk>", None, "<pad>", None, None, "CpmAnt Nougat Speech2Text SpeechT5 Wav2Vec2CTC Wav2Vec2PhonemeCTC "),
    ("[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]", "Albert FNet RemBert "),
    ("<|endoftext|>", "<|endoftext|>", "<|endoftext|>", None, None, None, None, "CodeGen GPT2 Whisper "),
    ("<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>", "Cpm Funnel XLNet "),
    ("<s>", "</s>", "<unk>", "</s>", "<pad>", None, None, "BioGpt M2M100 "),
    ("<|startoftext|>", "<|endoftext|>", "<|endoftext|>", None, "<|endoftext|>", None, None, "CLIP GPTNeoXJapanese "),
    (None, None, "<unk>", None, None, None, None, "CTRL OpenAIGPT "),
    ("<s>", "</s>", "<unk>", None, None, None, None, "CodeLlama Llama "),
    ("[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]", "Deberta DebertaV2 "),
    (None, "<eos>", "<unk>", None, "<pad>", "<cls>", "<mask>", "Esm Esmc "),
    ("<s>", None, "<unk>", "</s>", "<pad>", "</s>", "<special1>", "Flaubert XLM "),
    ("<bos>", "<eos>", "<unk>", None, "<pad>", None, "<mask>", "Gemma Siglip2 "),
    (None, "<|endoftext|>", "<|endoftext|>", None, "<|endoftext|>", None, None, "Qwen2 Qwen3_5 "),
    ("<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", None, "SeamlessM4T XGLM "),
    (None, None, "<unk>", None, "<pad>", None, None, "Tipsv2 Vits "),
    ("<s>", "</s>", "<unk>", "<::::>", "<pad>", None, None, "BertGeneration "),
    ("<s>", "</s>", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]", "BigBird "),
    ("__start__", "__end__", "__unk__", None, "__null__", None, None, "BlenderbotSmall "),
    ("\ue000", "\ue001", None, "\ue001", "\u0000", "\ue000", "\ue003", "Canine "),
    ("<|endoftext|>", "[STOP]", "[UNK]", None, "[STOP]", None, None, "Clvp "),
    ("<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<SEP>", "<PAD>", "<CLS>", "<MASK_TOKEN>", "Cohere "),
    (None, None, "<pad>", None, "<pad>", None, None, "Dia "),
    ("<s>", None, "<unk>", "</s>", "<pad>", None, None, "FSMT "),
    ("<sos/eos>", "<sos/eos>", "<unk>", None, "<blank>", None, None, "FastSpeech2Conformer "),
    ("<|endoftext|>", "<|endoftext|>", "<|endoftext|>", None, "<|padding|>", None, None, "GPTNeoX "),
    (None, None, "<unk>", "</s>", "<pad>", "<s>", "<mask>", "Herbert "),
    (None, "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>", "MBart50 "),
    ("<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>", "MPNet "),
    ("[GO]", "[s]", "[GO]", None, "[GO]", None, None, "Mgpstr "),
    (None, "</s>", "<unk>", None, "<pad>", None, "<mask_2>", "Pegasus "),
    ("[BOS]", "[EOS]", None, "[SEP]", "[PAD]", "[CLS]", "[MASK]", "Perceiver "),
    (None, None, "[UNK]", "[SEP]", "[PAD]", None, "[MASK]", "ProphetNet "),
    (None, "</s>", "<unk>", None, None, None, None, "Reformer "),
    (None, "</s>", "<unk>", None, "</s>", None, None, "Siglip "),
    (None, "</s>", "<unk>", "</s>", "<pad>", None, None, "Udop "),
)

#: Classes that stand for the file and nothing else.
_PLAIN = ("TokenizersBackend", "PreTrainedTokenizer", "PreTrainedTokenizerFast", "PythonBackend", "MistralCommonBackend")


@cache
def _tables() -> tuple[dict[str, str], frozenset[str], dict[str, list[str]], dict[str, dict[str, str]]]:
    types = {kind: name for name, kinds in _MODEL_TYPES.items() for kind in kinds.split()}
    inputs = {name: key.split() for key, names in _INPUTS.items() for name in names.split()}
    tokens: dict[str, dict[str, str]] = {}
    for *texts, names in _TOKENS:
        own = {name: text for name, text in zip(NAMES, texts, strict=True) if text is not None}
        tokens.update(dict.fromkeys(str(names).split(), own))
    return types, frozenset(_WRONGLY_NAMED.split()), inputs, tokens


def _stem(name: str) -> str:
    """``Bert`` for ``BertTokenizerFast``."""
    return name if name in _PLAIN else name.removesuffix("Fast").removesuffix("Tokenizer")


def class_of(settings: dict[str, Any], model: dict[str, Any], is_byte_level: bool) -> str | None:
    """The class that transformers makes of a folder, as ``Bert``; ``None`` for one without rules of its own.

    Args:
        settings: the content of tokenizer_config.json.
        model: the content of config.json.
        is_byte_level: whether the tokenizer.json works on bytes, which a tokenizer of Llama's class cannot.
    """
    types, wrongly_named, _, tokens = _tables()
    kind = model.get("model_type")
    registered = types.get(kind) if isinstance(kind, str) else None
    named = settings.get("tokenizer_class") or model.get("tokenizer_class")
    if not isinstance(named, str):
        return registered if registered in tokens and kind not in _WITHOUT_MODEL.split() else None
    stem = _stem(named)
    if stem == "Llama" and is_byte_level and registered != "MistralCommonBackend" and kind not in wrongly_named:
        return None
    if registered is not None and registered != stem:
        if registered in _PLAIN:
            return None
        stem = registered if kind in wrongly_named else stem
    return stem if stem in tokens else None


def input_names(name: str | None) -> list[str]:
    """The keys that a call returns."""
    return list(_tables()[2].get(name or "", ("input_ids", "attention_mask")))


def special_tokens(name: str | None) -> dict[str, str]:
    """The special tokens by name."""
    return _tables()[3].get(name or "", {})
