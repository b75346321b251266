"""Networks that look like a plain Vision Transformer and are none: told first of all."""

import re
from pathlib import Path
from typing import NamedTuple

from vitnp.errors import Error

PLAIN = ("read are plain Vision Transformers, such as google/vit-base-patch16-224 and timm's "
         "vit_small_patch16_224.augreg_in1k, and DINOv2 without registers")
READ = ("vit", "dinov2")        # of transformers' model_type
PREFIXES = ("module.", "_orig_mod.", "state_dict.", "model.", "backbone.", "student.", "teacher.",
            "trunk.")
STARTS = ("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight",
          "vit.embeddings.patch_embeddings.projection.weight")
SHARD = re.compile(r"-\d+-of-(\d+)\.safetensors$")


class Family(NamedTuple):
    """A kind of networks.

    what: in words, and what a plain ViT has not; marks: a pattern of tensors' names that tell it;
    kinds: transformers' model_type; cure: what can be done.
    """

    what: str
    marks: str
    kinds: tuple = ()
    cure: str = PLAIN


FAMILIES = (
    Family("a Vision Transformer with torchvision's names", "conv_proj|encoder.layers.encoder_layer"
           "_0", cure="they are not read, but timm has the same weights: "
           "vit_base_patch16_224.tv_in1k and others; they can be renamed too"),
    Family("a DeiT with a distillation token, a second one beside the class token",
           "distillation_token|dist_token|distillation_classifier|head_dist", ("deit",),
           "read are those without, such as timm's deit_small_patch16_224.fb_in1k"),
    Family("a Vision Transformer with registers, tokens beside the class token",
           "register_tokens|reg_token", ("dinov2_with_registers", "dinov3_vit"),
           "read is DINOv2 without them, such as facebook/dinov2-small"),
    Family("a SigLIP, whose tokens are pooled by an attention layer",
           "head.probe|vision_model.head|attn_pool|logit_bias",
           ("siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model")),
    Family("a CLIP, with one LayerNorm more before the blocks and another GELU",
           "text_model|visual|vision_model|pre_layrnorm|norm_pre|ln_pre",
           ("clip", "clip_vision_model", "chinese_clip", "altclip")),
    Family("a masked autoencoder (MAE)", "decoder_blocks|decoder_embed|decoder.decoder_layers|"
           "decoder_pred", ("vit_mae",), "its encoder alone is a plain ViT: it is read as timm has "
           "it (vit_base_patch16_224.mae), or after ViTModel.from_pretrained(FOLDER)"
           ".save_pretrained(OTHER)"),
    Family("a Swin Transformer, which attends within windows that move",
           r"layers.\d+.blocks|layers.\d+.downsample|swin", ("swin", "swinv2")),
    Family("a BEiT, whose attention has relative positions",
           "relative_position_bias|lambda_1|gamma_1|q_bias|rel_pos", ("beit", "data2vec-vision")),
    Family("a DINOv2 with a classifier on class token and mean", "dinov2", (),
           "read is its backbone: Dinov2Model.from_pretrained(FOLDER).save_pretrained(OTHER)"),
    Family("a Vision Transformer with a gated MLP (SwiGLU), as the giant DINOv2",
           "weights_in|w12|fc1_g|w3"),
    Family("a Vision Transformer that normalises queries and keys", "q_norm|k_norm"),
    Family("a Vision Transformer with rotary positions", "rope|rope_embeddings|rotary_emb"),
)


def refuse(path, names, said):
    """Raise Error where tensors, or the settings beside them, are those of another network.

    names: of the tensors; said: the dict in config.json.
    """
    for prefix in PREFIXES:
        if any(prefix + start in names for start in STARTS):
            raise Error(f"{path} has {prefix} before the names of its tensors, as training "
                        "programs leave it: load it with safetensors, take the prefix off "
                        f"(name.removeprefix({prefix!r})), and save it again")
    kind = said.get("model_type")
    for family in FAMILIES:
        if isinstance(kind, str) and kind in family.kinds:
            raise Error(f"{path} is {family.what}; {family.cure}")
    for family in FAMILIES:
        marks = re.compile(rf"(?:^|\.)(?:{family.marks})(?:\.|$|_)")
        if any(map(marks.search, names)):
            raise Error(f"{path} is {family.what}; {family.cure}")
    if kind is not None and kind not in READ:
        raise Error(f"{Path(path).with_name('config.json')} describes a network with model_type "
                    f"{ascii(kind)[:60]} (possible: {', '.join(map(repr, READ))}); {PLAIN}")


def refuse_shard(path):
    """Raise Error for one of the several files of a checkpoint."""
    part = SHARD.search(str(path))
    if part:
        raise Error(f"{path} is one of the {int(part[1])} files of a checkpoint; give the folder "
                    "with all of them and model.safetensors.index.json")
